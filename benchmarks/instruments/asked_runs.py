"""Live runs that are asked all along, by HTTP, and what their answers' records say of delay.

What a habit of a run costs it (being watched, listening) is told by turns with it and without it
that follow one another, so that what else the machine does meets both. Measure on an idle one.
"""

from __future__ import annotations

import asyncio
import random
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median, quantiles

import aiohttp

from benchmarks.instruments.findings import Finding
from benchmarks.instruments.result import Sheet

# Seconds from an answer to the next question. A pause that is always the same falls into step with
# the camera, and all questions of a turn wait equally long for their frame.
PAUSE = 0.02, 0.12
DRAWS = 1000  # of pairs, for the interval of a ratio
ASKED = {"messages": [{"role": "user", "content": "What colour?\nA. red\nB. blue\nC. green"}]}
FACTS = {"age of the frame, ms": "frame_age_ms", "time to first token, ms": "ttft_ms"}

Turn = dict[str, list[float]]
Pairs = Sequence[tuple[Turn, Turn]]  # with it, without it


@contextmanager
def served_run(*more: str) -> Iterator[str | None]:
    """The address of a run that goes on until it is left; None if it ended before it had one.

    `more`: of its command line.
    """
    command = ["-m", "runtime.live", "--serve", "127.0.0.1:0", "--seconds", "inf", *more]
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


async def asked(session: aiohttp.ClientSession, address: str, seconds: float) -> Turn:
    """Ask for so many seconds, at least once; what the records said, by their fields."""
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
    return facts


def ratio(pairs: Pairs, fact: str) -> float:
    """How many times as much it was with it: the medians of all answers, compared."""
    with_it, without = (median(pooled(pairs, place, fact)) for place in (0, 1))
    return with_it / without


def interval(pairs: Pairs, fact: str) -> tuple[float, float]:
    """Where the ratio lies in 95 of 100 draws of as many pairs, with replacement."""
    draw = random.Random(0)
    ratios = [ratio(draw.choices(pairs, k=len(pairs)), fact) for _ in range(DRAWS)]
    middle = quantiles(ratios, n=40)
    return middle[0], middle[-1]


def pooled(pairs: Pairs, place: int, fact: str) -> list[float]:
    """All values of turns with it (`place` 0), or without (1)."""
    return [value for pair in pairs for value in pair[place][fact]]


def medians_sheet(pairs: Pairs, habit: str) -> Sheet:
    """The medians over all turns; `habit`: what one turn of each pair has."""
    rows = []
    for name, fact in FACTS.items():
        both = [pooled(pairs, place, fact) for place in (0, 1)]
        counts = " + ".join(str(len(values)) for values in both)
        low, high = interval(pairs, fact)
        rows.append(
            (name, *(median(values) for values in both), f"{low:.2f} to {high:.2f}", counts)
        )
    columns = ("", habit, f"not {habit}", "ratio, 95 % interval", "answers")
    return Sheet("", columns, tuple(rows))


def findings(pairs: Pairs, habit: str, most: float) -> list[Finding]:
    """Every ratio beside the most that it may be."""
    return [
        Finding(f"{name.removesuffix(', ms')}: {habit} / not", ratio(pairs, fact), most)
        for name, fact in FACTS.items()
    ]
