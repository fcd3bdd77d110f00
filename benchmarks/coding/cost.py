"""`python -m benchmarks.coding.cost`: coding a recording beside asking about each fixation anew.

Three ways to the same answers, each the whole command as a person gives it, but for the start of
Python: the coding of all fixations; `runtime.live --ask` once for each fixation; and one such run
that is asked about all of them. The three of a round follow one another, so that what else the
machine does meets all of them. Times are not comparable between machines; ratios are.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from devices import numbers
from devices.parser import Parser, complain
from devices.synthetic.cloud import DrawnWearer, draw_wearer
from runtime.bundle.opening import Bundle
from runtime.coding.__main__ import main as code
from runtime.coding.question import WORDING
from runtime.coding.source import open_source
from runtime.coding.work import FixationRow
from runtime.errors import RuntimeFault
from runtime.live import main as live
from runtime.run.command_line import MINI

LEAST = 3.0  # times that coding has to be faster than asking anew
SEED = 7


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds for one fixation: coded, asked about alone, and with others in one run (or not)."""

    coded: float
    anew: float
    together: float | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status, 1 where coding is not LEAST times faster."""
    parser = Parser(prog="python -m benchmarks.coding.cost", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--seconds", type=numbers.seconds, default=20.0, metavar="S")
    parser.add_argument("--seed", type=numbers.seed, default=SEED, metavar="K")
    parser.add_argument(
        "--asked", type=numbers.whole(1), default=5, metavar="N", help="asked about one by one"
    )
    parser.add_argument("--rounds", type=numbers.whole(1), default=3, metavar="N")
    parser.add_argument(
        "--together", choices=("yes", "no"), default="yes", help="one run about all, too"
    )
    options = parser.parse_args(arguments)
    try:
        rounds, fixations = measured(options)
    except RuntimeFault as error:
        complain(error)
        return 1
    print(f"{fixations} fixations in {options.seconds:g} s, {len(rounds)} rounds\n")
    print("| way | fixations a second | coding is faster, times: median (least) |")
    print("| --- | ---: | ---: |")
    coded = [each.coded for each in rounds]
    print(f"| coded | {1 / statistics.median(coded):.2f} | |")
    anew = [each.anew for each in rounds]
    together = [each.together for each in rounds if each.together is not None]
    for name, seconds in (("asked, one run for each", anew), ("asked, all in one run", together)):
        if seconds:
            ratios = [there / here for there, here in zip(seconds, coded, strict=True)]
            told = f"{statistics.median(ratios):.1f} ({min(ratios):.1f})"
            print(f"| {name} | {1 / statistics.median(seconds):.2f} | {told} |")
    return 0 if min(each.anew / each.coded for each in rounds) >= LEAST else 1


def measured(options: argparse.Namespace) -> tuple[list[Round], int]:
    """All rounds, and how many fixations the recording has."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        drawn = draw_wearer(folder / "wearer", options.seed, options.seconds)
        settings = Bundle.open(options.bundle).manifest.settings
        source = open_source(drawn.folder, settings, None)
        rows = source.rows
        chosen = rows[:: max(1, len(rows) // options.asked)][: options.asked]
        start = source.read.start
        rounds = []
        for number in range(options.rounds):
            out = folder / f"coded-{number}"
            rounds.append(
                Round(
                    _seconds(lambda out=out: _code(drawn, out, options.bundle)) / len(rows),
                    _seconds(lambda: [_ask(drawn, [row], start, options.bundle) for row in chosen])
                    / len(chosen),
                    _seconds(lambda: _ask(drawn, rows, start, options.bundle)) / len(rows)
                    if options.together == "yes"
                    else None,
                )
            )
        return rounds, len(rows)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    with redirect_stdout(io.StringIO()):
        work()
    return time.perf_counter() - began


def _code(drawn: DrawnWearer, out: Path, bundle: Path) -> None:
    things = ",".join(f'"{thing}"' for thing in drawn.things)
    _check(
        code([str(drawn.folder), "--out", str(out), "--things", things, "--bundle", str(bundle)])
    )


def _ask(drawn: DrawnWearer, rows: Sequence[FixationRow], start: int, bundle: Path) -> None:
    words = ["--device", "recording", "--path", str(drawn.folder), "--fast", "--no-serve"]
    for row in rows:
        words += ["--ask", WORDING, "--options", *drawn.things]
        words += ["--at", f"{(row.middle - start) / 1e9:.6f}"]
    _check(live([*words, "--bundle", str(bundle)]))


def _check(status: int) -> None:
    if status != 0:
        raise RuntimeFault(f"a command that is measured ended with {status}")


if __name__ == "__main__":
    sys.exit(main())
