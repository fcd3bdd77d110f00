"""What are workers worth on this machine? `python -m benchmarks scaling` (extra 'cluster').

The evaluation of a drawn data set in this process, and by workers on Ray of one core each; and
units without work, whose time is what handing them out costs. Rounds follow one another, each with
all of these, so that what else the machine does meets all of them. Measure on an idle one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.result import Result, Sheet, add_outputs, publish
from benchmarks.scaling.timing import Job, Timed, at_place, in_this_process
from benchmarks.streamgaze import command
from benchmarks.streamgaze.asking.units import units_of
from benchmarks.streamgaze.data.dataset import DataSetError
from benchmarks.streamgaze.spreading import OPENER
from devices import numbers
from devices.parser import Parser, complain
from devices.synthetic.dataset import DataSetPlan, write_data_set
from runtime.bundle.opening import Bundle
from runtime.cluster.units import Opener, Unit
from runtime.errors import RuntimeFault
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole

EMPTY = "benchmarks.scaling.nothing:open_work"
FRAME_RATE = 4  # Hz, of the drawn videos
COLUMNS = ("", "questions/s", "times one process", "ready after, s", "an empty unit, ms")
HERE = 0  # workers: this process, without Ray


@dataclass(frozen=True, slots=True)
class Round:
    """The evaluation and the empty units, by how many workers did them."""

    questions: dict[int, Timed]
    empty: dict[int, Timed]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and publish; returns the exit status."""
    options = parse_arguments(arguments)
    try:
        # Ray is an extra, and large: nothing of it is imported before it is asked for.
        from runtime.cluster.ray_place import Connection
    except ImportError as error:
        complain(f"it needs the extra 'cluster': {error.name} is not installed")
        return 1
    try:
        with tempfile.TemporaryDirectory() as place, Connection(None, False):
            asked = drawn_job(options, Path(place))
            empty = Job(Opener(EMPTY, ()), tuple(Unit(str(n), 1.0) for n in range(options.units)))
            if max(options.workers) > len(asked.units):
                raise RuntimeFault(f"--workers: more than the {len(asked.units)} videos")
            rounds = [measured(asked, empty, options.workers) for _ in range(options.rounds)]
        return publish(result(options, asked, rounds), options, SafeConsole())
    except (RuntimeFault, DataSetError, OSError) as error:
        complain(error)
        return 1


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    cores = os.cpu_count() or 1
    counts = [1 << power for power in range(cores.bit_length())]
    parser = Parser(prog="python -m benchmarks scaling", description="What workers are worth.")
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--videos", type=numbers.whole(1), default=32, metavar="N")
    parser.add_argument(
        "--seconds", type=numbers.whole(5), default=30, metavar="S", help="of a video"
    )
    parser.add_argument(
        "--questions", type=numbers.whole(2), default=100, metavar="N", help="of each task in all"
    )
    parser.add_argument(
        "--workers",
        type=numbers.whole(1, cores),
        nargs="+",
        default=counts,
        metavar="N",
        help=f"of one core each (default: {' '.join(map(str, counts))})",
    )
    parser.add_argument(
        "--units", type=numbers.whole(100), default=2000, metavar="N", help="without work"
    )
    parser.add_argument("--rounds", type=numbers.whole(1), default=3, metavar="N")
    add_outputs(parser)
    return parser.parse_args(arguments)


def drawn_job(options: argparse.Namespace, folder: Path) -> Job:
    """The evaluation of a data set drawn into a folder."""
    plan = DataSetPlan(options.videos, options.seconds, 0, options.questions, FRAME_RATE)
    write_data_set(plan, folder / "drawn")
    given = ["--data", str(folder / "drawn"), "--bundle", str(options.bundle), "--threads", "1"]
    files, _ = command.open_data(command.run_parser().parse_args(given))
    return Job(Opener(OPENER, (str(Path.cwd()), *given)), tuple(units_of(files)))


def measured(asked: Job, empty: Job, workers: Sequence[int]) -> Round:
    """One round: in this process, then with each number of workers."""
    from runtime.cluster.ray_place import Needs, RayPlace

    times = []
    for job in (asked, empty):
        times.append({HERE: in_this_process(job)})
        for count in workers:
            times[-1][count] = at_place(job, RayPlace(job.opener, Needs(cores=1)), count)
    return Round(*times)


def result(options: argparse.Namespace, asked: Job, rounds: Sequence[Round]) -> Result:
    """Medians over the rounds."""
    drawn = (options.videos, options.seconds, options.questions, FRAME_RATE)
    return Result(
        "scaling",
        Conditions.here(
            f"{options.rounds} rounds: {asked.results} questions about {len(asked.units)} videos, "
            f"{options.units} empty units",
            input_hash(*drawn, options.units),
            Bundle.open(options.bundle),
        ),
        (scaling_sheet(asked.results, options.units, rounds),),
        details={"rounds": rounds},
    )


def scaling_sheet(questions: int, units: int, rounds: Sequence[Round]) -> Sheet:
    """A row for this process, and one for each number of workers."""
    rows = []
    for count in rounds[0].questions:
        name = "one process" if count == HERE else f"{count} worker{'s' if count > 1 else ''}"
        rates = [questions / each.questions[count].working for each in rounds]
        ratios = [each.questions[HERE].working / each.questions[count].working for each in rounds]
        opening = median(each.questions[count].opening for each in rounds)
        handing = median(1000 * each.empty[count].working / units for each in rounds)
        rows.append((name, median(rates), median(ratios), opening, handing))
    return Sheet("", COLUMNS, tuple(rows))


if __name__ == "__main__":
    sys.exit(main())
