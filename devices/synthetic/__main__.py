"""`python -m devices.synthetic`: write synthetic wearers as a StreamGaze data set."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress

from devices import numbers
from devices.parser import Parser, complain
from devices.synthetic.dataset import DataSetPlan, write_data_set
from devices.synthetic.device import FRAME_RATE


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a data set; returns the exit status."""
    parser = Parser(
        prog="python -m devices.synthetic",
        description="Write videos, fixation files and questions in StreamGaze's layout.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the data set")
    parser.add_argument(
        "--videos", type=numbers.whole(1), default=20, metavar="N", help="how many (default 20)"
    )
    parser.add_argument(
        "--seconds", type=numbers.whole(5), default=30, metavar="S", help="each (default 30)"
    )
    parser.add_argument(
        "--questions",
        type=numbers.whole(2),
        metavar="N",
        help="of each task in all, where there is occasion for so many (default: 4 per video)",
    )
    parser.add_argument(
        "--frame-rate",
        type=numbers.whole(1),
        default=FRAME_RATE,
        metavar="HZ",
        help=f"default {FRAME_RATE}",
    )
    parser.add_argument("--seed", type=numbers.seed, default=0, metavar="K", help="of the wearers")
    options = parser.parse_args(arguments)
    questions = 4 * options.videos if options.questions is None else options.questions
    plan = DataSetPlan(options.videos, options.seconds, options.seed, questions, options.frame_rate)
    try:
        with Progress(transient=True) as progress:
            task = progress.add_task("videos", total=plan.videos)
            counts = write_data_set(
                plan, options.out, lambda done, total: progress.update(task, completed=done)
            )
    except OSError as error:
        complain(f"{error.filename or options.out}: {error.strerror}")
        return 1
    for name, count in counts.items():
        short = "" if count == plan.questions else f", {plan.questions} were asked for"
        print(f"{name}: {count} questions{short}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
