"""What do those who watch a run cost it? `python -m benchmarks serving`.

One run of the synthetic wearer goes on by itself. In turns it is watched, by a page and by two
clients that read every record, and not watched; both times it is asked the same, all along. The
records of the answers tell how old their frame was and how long their first token took. A turn
follows the other, so that what else the machine does meets both of them. Measure on an idle one.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from statistics import median, quantiles

import aiohttp

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.findings import Finding
from benchmarks.instruments.result import Result, Sheet, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from runtime.bundle.opening import Bundle
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole

READERS = 2
# Seconds from an answer to the next question. A pause that is always the same falls into step with
# the camera, and all questions of a turn wait equally long for their frame.
PAUSE = 0.02, 0.12
MOST = 1.1  # times as much, while watched
DRAWS = 1000  # of pairs, for the interval of a ratio
ASKED = {"messages": [{"role": "user", "content": "What colour?\nA. red\nB. blue\nC. green"}]}
FACTS = {"age of the frame, ms": "frame_age_ms", "time to first token, ms": "ttft_ms"}

Turn = dict[str, list[float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns 0 where watching costs no more than it may."""
    options = parse_arguments(arguments)
    with served_run() as address:
        if address is None:
            complain("the run ended before it was served: python -m runtime.live says why")
            return 1
        pairs = asyncio.run(measured(address, options.pairs, options.turn))
    findings = [
        Finding(f"{name.removesuffix(', ms')}: watched / not", ratio(pairs, fact), MOST)
        for name, fact in FACTS.items()
    ]
    result = Result(
        "serving",
        Conditions.here(
            f"{options.pairs} pairs of turns of {options.turn:g} s",
            input_hash(str(ASKED), *PAUSE, READERS),
            Bundle.open(MINI),
        ),
        (medians_sheet(pairs),),
        tuple(findings),
        {"pairs": pairs},
    )
    try:
        return publish(result, options, SafeConsole())
    except OSError as error:
        complain(error)
        return 1


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks serving", description="What watching a run costs.")
    parser.add_argument("--pairs", type=numbers.whole(1), default=15, metavar="N")
    parser.add_argument(
        "--turn", type=numbers.number(1, 3600), default=10.0, metavar="SECONDS", help="of each turn"
    )
    add_outputs(parser)
    return parser.parse_args(arguments)


@contextmanager
def served_run() -> Iterator[str | None]:
    """The address of a run that goes on until it is left; None if it ended before it had one."""
    command = ["-m", "runtime.live", "--serve", "127.0.0.1:0", "--seconds", "inf"]
    run = subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    try:
        said = (re.search(r"page +(http://\S+)", line) for line in run.stdout)
        found = next((each for each in said if each is not None), None)
        # A run that nobody reads loses lines in the end.
        threading.Thread(target=deque, args=(run.stdout, 0), daemon=True).start()
        yield None if found is None else found[1]
    finally:
        run.send_signal(signal.SIGINT)
        run.wait()


async def measured(address: str, pairs: int, seconds: float) -> list[tuple[Turn, Turn]]:
    """Turns that were watched and turns that were not, in pairs."""
    told = []
    async with aiohttp.ClientSession() as session:
        await turn(session, address, seconds)  # the first finds nothing warm
        for number in range(pairs):
            both = {}
            for watched in (number % 2 == 0, number % 2 != 0):
                both[watched] = await turn(session, address, seconds, watched)
            told.append((both[True], both[False]))
    return told


async def turn(
    session: aiohttp.ClientSession, address: str, seconds: float, watched: bool = False
) -> Turn:
    """Ask for so many seconds; what the records said, by their fields."""
    readers = (_page, *(_events,) * READERS) if watched else ()
    tasks = [asyncio.create_task(each(session, address)) for each in readers]
    facts: Turn = {name: [] for name in FACTS.values()}
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end or not facts["ttft_ms"]:
        async with session.post(f"{address}v1/chat/completions", json=ASKED) as reply:
            record = (await reply.json()).get("gazeqwen", {}) if reply.status == 200 else {}
        for name, values in facts.items():
            if record.get(name) is not None:
                values.append(record[name])
        await asyncio.sleep(random.uniform(*PAUSE))
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return facts


async def _page(session: aiohttp.ClientSession, address: str) -> None:
    async with session.ws_connect(f"{address}live") as page:
        async for _ in page:
            pass


async def _events(session: aiohttp.ClientSession, address: str) -> None:
    forever = aiohttp.ClientTimeout(total=None)
    async with session.get(f"{address}events", timeout=forever) as events:
        async for _ in events.content:
            pass


def ratio(pairs: Sequence[tuple[Turn, Turn]], fact: str) -> float:
    """How many times as much it was while watched: the medians of all answers, compared."""
    watched, alone = (median(pooled(pairs, place, fact)) for place in (0, 1))
    return watched / alone


def interval(pairs: Sequence[tuple[Turn, Turn]], fact: str) -> tuple[float, float]:
    """Where the ratio lies in 95 of 100 draws of as many pairs, with replacement."""
    draw = random.Random(0)
    ratios = [ratio(draw.choices(pairs, k=len(pairs)), fact) for _ in range(DRAWS)]
    middle = quantiles(ratios, n=40)
    return middle[0], middle[-1]


def pooled(pairs: Sequence[tuple[Turn, Turn]], place: int, fact: str) -> list[float]:
    """All values of turns that were watched (`place` 0), or were not (1)."""
    return [value for pair in pairs for value in pair[place][fact]]


def medians_sheet(pairs: Sequence[tuple[Turn, Turn]]) -> Sheet:
    """The medians over all turns."""
    rows = []
    for name, fact in FACTS.items():
        both = [pooled(pairs, place, fact) for place in (0, 1)]
        counts = " + ".join(str(len(values)) for values in both)
        low, high = interval(pairs, fact)
        rows.append(
            (name, *(median(values) for values in both), f"{low:.2f} to {high:.2f}", counts)
        )
    columns = ("", "watched", "not watched", "ratio, 95 % interval", "answers")
    return Sheet("", columns, tuple(rows))


if __name__ == "__main__":
    sys.exit(main())
