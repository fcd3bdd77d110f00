"""`memory`: a run that is weighed after every question. Resident memory has to stay flat. Linux."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console

from benchmarks.instruments.findings import Finding, findings_table
from benchmarks.memory import MEBIBYTE, Resident
from benchmarks.streamgaze.asking.results import Result
from benchmarks.streamgaze.command import make_run, run_parser
from benchmarks.streamgaze.data.dataset import DataSetError
from benchmarks.streamgaze.reporting.tables import markdown_table

WARM_UP = 0.2  # of the questions: engines take their working memory, a few videos of every length
FEWEST = 20  # questions of which a growth can be told
GROWTH_LIMIT = 5.0  # MiB per 1,000 questions
ROWS = 10


@dataclass(slots=True)
class Scales:
    """What the process weighed after each question: MiB of its own memory."""

    weights: list[float] = field(default_factory=list)

    def weigh(self, result: Result) -> None:
        """Weigh the process, a question having been answered."""
        self.weights.append(Resident.now().private / MEBIBYTE)

    def growth(self) -> float:
        """MiB per 1,000 questions after the warm-up, by least squares."""
        steady = self.weights[round(WARM_UP * len(self.weights)) :]
        return float(1000 * np.polyfit(np.arange(len(steady)), steady, 1)[0])

    def rows(self) -> list[tuple[str, str]]:
        """Questions and MiB, a few times over the run, as a table shows them."""
        places = np.linspace(0, len(self.weights) - 1, ROWS).round().astype(int)
        return [(str(place + 1), f"{self.weights[place]:.1f}") for place in places]


def run(arguments: Sequence[str], console: Console) -> int:
    """The command line; returns 1 if memory grew."""
    parser = run_parser()
    parser.prog, parser.description = "python -m benchmarks.streamgaze memory", __doc__
    scales = Scales()
    make_run(parser.parse_args(arguments), console, scales.weigh)
    if len(scales.weights) < FEWEST:
        raise DataSetError(
            f"--out: {len(scales.weights)} questions were left to ask there, of which no growth of "
            "memory can be told: give a new folder and a larger data set"
        )
    for line in markdown_table(("questions", "MiB"), scales.rows()):
        console.print(line)
    found = Finding("growth of memory", scales.growth(), GROWTH_LIMIT, "MiB per 1,000 questions")
    console.print(findings_table([found]))
    return 0 if found.is_met else 1
