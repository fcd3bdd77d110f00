"""`sharing`: what it saves that the questions of a video share their work, and that it is exact.

Video by video, all its questions are asked sharing decoding and encoded steps, then each on its
own; both are timed. Measure on an idle machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from benchmarks.streamgaze.asking.engines import load_models
from benchmarks.streamgaze.asking.evaluation import Way, evaluate
from benchmarks.streamgaze.asking.units import of_videos
from benchmarks.streamgaze.command import add_data_options, add_way_options, open_data, way_of
from benchmarks.streamgaze.data.dataset import DataSetError, TaskFile, by_video
from benchmarks.streamgaze.data.media import Library
from benchmarks.streamgaze.merging import untimed
from benchmarks.streamgaze.reporting.tables import markdown_table
from devices.parser import Parser
from runtime.model.models import Models

HEADER = ("video", "questions", "shared, s", "isolated, s", "times faster", "other answers")


@dataclass(frozen=True, slots=True)
class Measured:
    """One video asked both ways. Seconds; `different`: questions not answered exactly alike."""

    video: str
    questions: int
    shared: float
    isolated: float
    different: int

    def row(self) -> tuple[str, ...]:
        """As a table shows it."""
        return (
            self.video,
            str(self.questions),
            f"{self.shared:.2f}",
            f"{self.isolated:.2f}",
            f"{self.isolated / self.shared:.2f}",
            str(self.different),
        )


def run(arguments: Sequence[str], console: Console) -> int:
    """The command line; returns 1 if sharing changed an answer."""
    parser = Parser(
        prog="python -m benchmarks.streamgaze sharing",
        description="Time the questions of each video asked together and each on its own.",
    )
    add_data_options(parser)
    add_way_options(parser)
    options = parser.parse_args(arguments)
    if options.bundle is None:
        raise DataSetError("give --bundle")
    files, library = open_data(options)
    measured = list(measure(load_models(options), library, files, way_of(options)))
    if not measured:
        raise DataSetError(f"{options.data}: there are no questions to measure with")
    whole = Measured(
        "all",
        sum(each.questions for each in measured),
        sum(each.shared for each in measured),
        sum(each.isolated for each in measured),
        sum(each.different for each in measured),
    )
    for line in markdown_table(HEADER, (each.row() for each in (*measured, whole))):
        console.print(line)
    return 1 if whole.different else 0


def measure(
    models: Models, library: Library, files: Sequence[TaskFile], way: Way
) -> Iterator[Measured]:
    """Ask the questions of each video both ways, one right after the other."""
    for video, questions in by_video(files):
        own = of_videos(files, frozenset([video]))
        began = time.perf_counter()
        together = list(evaluate(models, library, own, way))
        between = time.perf_counter()
        alone = list(evaluate(models, library, own, replace(way, isolated=True)))
        ended = time.perf_counter()
        answers = {result.key: untimed(result) for result in alone}
        different = sum(untimed(result) != answers[result.key] for result in together)
        yield Measured(video, len(questions), between - began, ended - between, different)
