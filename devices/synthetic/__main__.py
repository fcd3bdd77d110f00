"""`python -m devices.synthetic`: write synthetic wearers as a StreamGaze data set."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress

from devices.synthetic.dataset import DataSetPlan, write_data_set


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a data set; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m devices.synthetic",
        description="Write videos, fixation files and questions in StreamGaze's layout.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the data set")
    parser.add_argument("--videos", type=int, default=20, metavar="N", help="how many (default 20)")
    parser.add_argument("--seconds", type=int, default=30, metavar="S", help="each (default 30)")
    parser.add_argument("--seed", type=int, default=0, metavar="K", help="of the wearers")
    options = parser.parse_args(arguments)
    if options.videos < 1 or options.seconds < 5 or options.seed < 0:
        parser.error("give at least 1 video of at least 5 seconds, and a seed of at least 0")
    plan = DataSetPlan(options.videos, options.seconds, options.seed)
    try:
        with Progress(transient=True) as progress:
            task = progress.add_task("videos", total=plan.videos)
            write_data_set(
                plan, options.out, lambda done, total: progress.update(task, completed=done)
            )
    except OSError as error:
        print(f"error: {error.filename or options.out}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
