"""What does listening cost a run? `python -m benchmarks listening --sound TALK.wav`.

An emulated phone sends pictures, gaze and the sound of a WAV over loopback, over and over. One run
of it listens, one does not, in turns; both are asked the same, all along. Speech that is no
question costs the most: it is heard to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

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
from devices.device import DeviceError
from devices.emulator.emulator import Emulator
from devices.emulator.programmes.drawn import draw_wearer
from devices.emulator.programmes.sound import load_sound
from devices.parser import Parser, complain
from runtime.bundle.opening import Bundle
from runtime.errors import RuntimeFault
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole

MOST = 1.1  # times as much, while it listens
WARM = 5.0  # seconds of a run before its turn: streams begin, a model is read


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns 0 where listening costs no more than it may."""
    options = parse_arguments(arguments)
    try:
        pairs = measured(options)
        result = Result(
            "listening",
            Conditions.here(
                f"{options.pairs} pairs of turns of {options.turn:g} s",
                input_hash(str(ASKED), *PAUSE, options.sound),
                Bundle.open(options.bundle),
            ),
            (medians_sheet(pairs, "listening"),),
            tuple(findings(pairs, "listening", MOST)),
            {"pairs": pairs},
        )
        return publish(result, options, SafeConsole())
    except (DeviceError, RuntimeFault, OSError) as error:
        complain(error)
        return 1


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks listening", description="What listening costs.")
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--sound", type=Path, required=True, metavar="WAV", help="what is heard")
    parser.add_argument("--pairs", type=numbers.whole(1), default=6, metavar="N")
    parser.add_argument(
        "--turn", type=numbers.number(1, 3600), default=15.0, metavar="SECONDS", help="of each turn"
    )
    add_outputs(parser)
    return parser.parse_args(arguments)


def measured(options: argparse.Namespace) -> list[tuple[Turn, Turn]]:
    """Turns of runs that listened and of runs that did not, in pairs.

    Raises DeviceError for a sound that is none, RuntimeFault where a run ends by itself.
    """
    played = replace(draw_wearer(0), sound=load_sound(options.sound))
    told = []
    for number in range(options.pairs):
        both = {}
        for listens in (number % 2 == 0, number % 2 != 0):
            with Emulator(played) as emulator:
                address = f"{emulator.address}:{emulator.port}"
                both[listens] = turn(address, options, listens)
        told.append((both[True], both[False]))
    return told


def turn(phone: str, options: argparse.Namespace, listens: bool) -> Turn:
    """Ask one run for so many seconds, once it is warm. Raises RuntimeFault if it ended before."""
    more = ("--device", "neon", "--address", phone, "--bundle", str(options.bundle))
    with served_run(*more, *(("--listen",) if listens else ())) as address:
        if address is None:
            raise RuntimeFault(
                "the run ended before it was served: python -m runtime.live says why"
            )
        return asyncio.run(_turn(address, options.turn))


async def _turn(address: str, seconds: float) -> Turn:
    async with aiohttp.ClientSession() as session:
        await asked(session, address, WARM)
        return await asked(session, address, seconds)


if __name__ == "__main__":
    sys.exit(main())
