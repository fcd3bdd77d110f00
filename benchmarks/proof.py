"""What does the proof on the device cost a start? `python -m benchmarks proof --bundle DIR`.

Starts by turns: one that proves the bundle, one that remembers that it was proven, one without any
proof. Each is a process of its own, and its time is from the opening of the bundle to models that
are ready.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.result import Result, Sheet, Value, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from runtime.bundle.opening import Bundle
from runtime.engines.choice import ENGINES, Asked, Machine, choose_engine
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.model.opening import open_models
from runtime.model.verdicts import Verdicts
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole

Way = Literal["proving", "remembering", "without"]
WAYS: tuple[Way, ...] = ("proving", "remembering", "without")


def started(way: Way, bundle: Path, asked: Asked, verdicts: Path) -> float:
    """Seconds of one start in this process. Raises RuntimeFault as a run would."""
    began = time.perf_counter()
    opened, machine = Bundle.open(bundle), Machine.here()
    if way == "without":
        Models(opened, choose_engine(asked, opened, machine).load)
    else:
        known, again = Verdicts(verdicts), way == "proving"
        found = open_models(asked, opened, machine, verdicts=known, again=again)
        if bool(found.figures) != again:
            raise RuntimeFault(f"{verdicts}: what was found of a bundle can't be kept there")
    return time.perf_counter() - began


def measured(bundle: Path, asked: Asked, rounds: int) -> dict[Way, list[float]]:
    """Seconds of the starts of each way, by turns; a first one is not counted: it reads the disk.

    Raises RuntimeFault with what a start said that failed.
    """
    seconds: dict[Way, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as verdicts:
        for way in (WAYS[0], *WAYS * rounds):
            command = [sys.executable, "-m", "benchmarks", "proof", "--engine", asked]
            ended = subprocess.run(
                [*command, "--bundle", bundle, "--start", way, "--verdicts", verdicts],
                capture_output=True,
                text=True,
                check=False,
            )
            if ended.returncode:
                raise RuntimeFault(ended.stderr.strip().removeprefix("error: "))
            seconds[way].append(float(ended.stdout))
    del seconds[WAYS[0]][0]
    return seconds


def sheet(seconds: dict[Way, list[float]]) -> Sheet:
    """Medians, and what is between two starts of one turn."""
    rows: list[tuple[Value, ...]] = []
    for way, found in seconds.items():
        beside = [one - other for one, other in zip(found, seconds["without"], strict=True)]
        between = f"{statistics.median(beside):+.2f} ({min(beside):+.2f} to {max(beside):+.2f})"
        rows.append((way, statistics.median(found), between if any(beside) else None))
    return Sheet("starts", ("", "seconds", "beside one without, by turns"), tuple(rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = Parser(prog="python -m benchmarks proof", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--engine", choices=ENGINES, default="cpu")
    parser.add_argument("--rounds", type=numbers.whole(1, 1000), default=5, help="starts of each")
    parser.add_argument("--start", choices=WAYS, help="start once, and print the seconds")
    parser.add_argument("--verdicts", type=Path, default=Path(), help="where --start remembers")
    add_outputs(parser)
    options = parser.parse_args(arguments)
    try:
        if options.start:
            print(started(options.start, options.bundle, options.engine, options.verdicts))
            return 0
        bundle = Bundle.open(options.bundle)
        found = measured(options.bundle, options.engine, options.rounds)
        repeats = f"{options.rounds} starts of each kind, by turns, each a process"
        where = Conditions.here(repeats, input_hash("reference vectors"), bundle)
        result = Result("proof", where, (sheet(found),), details={"seconds": found})
        return publish(result, options, SafeConsole())
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
