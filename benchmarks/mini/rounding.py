"""`python -m benchmarks.mini.rounding`: what rounding the weights leaves of mini's meaning.

The same questions go to a bundle with rounded weights and to the same model in float32. Compared
are the answers, and the change that gaze makes to the logits.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from benchmarks.mini.held_out import held_out
from benchmarks.mini.trial import Trial
from benchmarks.streamgaze.reporting.significance import wilson
from devices import numbers
from devices.parser import Parser, complain
from devices.synthetic.questions import ASKERS
from runtime.bundle.opening import Bundle
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole

GAZE, NO_GAZE = 0, 2  # places among the conditions


@dataclass(slots=True)
class Likeness:
    """What two models make of the questions of one task, with gaze.

    `cosines`: of the change that gaze makes to the logits; `errors`: relative, of the logits.
    """

    same: int = 0
    cosines: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def add(self, rounded: NDArray[np.float32], exact: NDArray[np.float32], same: bool) -> None:
        """One question's logits (conditions, vocabulary) of both."""
        change, wanted = (each[GAZE] - each[NO_GAZE] for each in (rounded, exact))
        lengths = np.linalg.norm(change) * np.linalg.norm(wanted)
        self.same += same
        self.cosines.append(float(change @ wanted / lengths))
        error = np.linalg.norm(rounded[GAZE] - exact[GAZE]) / np.linalg.norm(exact[GAZE])
        self.errors.append(float(error))

    def __add__(self, other: Likeness) -> Likeness:
        return Likeness(
            self.same + other.same, self.cosines + other.cosines, self.errors + other.errors
        )

    def cells(self) -> tuple[str, ...]:
        """Questions, same answers, cosine and error, as the table shows them."""
        count = len(self.cosines)
        low, high = wilson(self.same, count)
        return (
            str(count),
            f"{100 * self.same / count:.1f} ({100 * low:.1f} to {100 * high:.1f})",
            f"{np.mean(self.cosines):.4f}",
            f"{np.mean(self.errors):.3f}",
        )


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks.mini.rounding", description=__doc__)
    parser.add_argument("bundle", type=Path, help="of rounded weights")
    parser.add_argument("--exact", type=Path, default=MINI, metavar="DIR", help="the float32 one")
    parser.add_argument(
        "--clips", type=numbers.whole(1), default=500, metavar="N", help="default 500"
    )
    parser.add_argument("--seed", type=numbers.seed, default=0, help="of the wearers (default 0)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; returns the exit status."""
    options = parse_arguments(arguments)
    console = SafeConsole(sys.stderr)
    try:
        rounded, exact = (
            Trial(Models(Bundle.open(folder))) for folder in (options.bundle, options.exact)
        )
        found = compare(rounded, exact, options.seed, options.clips, console)
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    for line in table_lines(found):
        print(line)
    return 0


def compare(
    rounded: Trial, exact: Trial, seed: int, clips: int, console: Console
) -> dict[str, Likeness]:
    """By task, of `clips` wearers that no training used."""
    found: dict[str, Likeness] = defaultdict(Likeness)
    pairs = islice(held_out(seed, lambda: ASKERS), clips)
    for pair in track(pairs, "clips", total=clips, console=console, transient=True):
        for (question, one), (_, other) in zip(
            rounded.logits(pair), exact.logits(pair), strict=True
        ):
            options = exact.letter_tokens[: len(question.options)]
            same = one[GAZE, options].argmax() == other[GAZE, options].argmax()
            found[question.task].add(one, other, bool(same))
    return dict(found)


def table_lines(found: dict[str, Likeness]) -> Iterator[str]:
    """The tasks, and all together, as Markdown."""
    rows = [(task, found[task]) for task in ASKERS if task in found]
    rows.append(("all", sum(found.values(), Likeness())))
    yield "| task | questions | same answer, % | cosine of gaze's change | error of the logits |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name, likeness in rows:
        if likeness.cosines:
            yield f"| {name} | " + " | ".join(likeness.cells()) + " |"


if __name__ == "__main__":
    sys.exit(main())
