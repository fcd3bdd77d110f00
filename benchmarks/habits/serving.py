"""What do those who watch a run cost it? `python -m benchmarks serving`.

One run of the synthetic wearer goes on by itself. In turns it is watched, by a page and by two
clients that read every record, and not watched; both times it is asked the same, all along.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress

import aiohttp

from benchmarks.instruments.asked_runs import (
    ASKED,
    PAUSE,
    Turn,
    asked,
    findings,
    medians_sheet,
    served_run,
)
from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.result import Result, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from runtime.bundle.opening import Bundle
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole

READERS = 2
MOST = 1.1  # times as much, while watched


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns 0 where watching costs no more than it may."""
    options = parse_arguments(arguments)
    with served_run() as address:
        if address is None:
            complain("the run ended before it was served: python -m runtime.live says why")
            return 1
        pairs = asyncio.run(measured(address, options.pairs, options.turn))
    result = Result(
        "serving",
        Conditions.here(
            f"{options.pairs} pairs of turns of {options.turn:g} s",
            input_hash(str(ASKED), *PAUSE, READERS),
            Bundle.open(MINI),
        ),
        (medians_sheet(pairs, "watched"),),
        tuple(findings(pairs, "watched", MOST)),
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
    """Ask for so many seconds, watched or not."""
    readers = (_page, *(_events,) * READERS) if watched else ()
    tasks = [asyncio.create_task(each(session, address)) for each in readers]
    facts = await asked(session, address, seconds)
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


if __name__ == "__main__":
    sys.exit(main())
