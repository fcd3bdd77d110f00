"""A run in units: each video with its questions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.streamgaze.asking.results import read_run
from benchmarks.streamgaze.data.dataset import TaskFile, by_video
from benchmarks.streamgaze.data.questions import EvaluationQuestion, QuestionKey
from runtime.cluster.shards import Shard
from runtime.cluster.units import Unit

ASKING = 1.0  # a question costs about as much as a second of video


def units_of(files: Iterable[TaskFile], done: frozenset[QuestionKey] = frozenset()) -> list[Unit]:
    """The videos that have a question that is not `done`. Costs are of all their questions."""
    return [
        Unit(video, _cost(questions), len(questions))
        for video, questions in by_video(files)
        if any(question.key not in done for question in questions)
    ]


def of_videos(files: Iterable[TaskFile], videos: frozenset[str]) -> list[TaskFile]:
    """The task files with the questions about some videos only."""
    return [
        replace(file, questions=tuple(each for each in file.questions if each.key.video in videos))
        for file in files
    ]


def in_shard(files: Sequence[TaskFile], shard: Shard) -> list[TaskFile]:
    """The questions of a shard, whatever is done already."""
    return of_videos(files, shard.of(units_of(files)))


def done_in(folders: Sequence[Path]) -> frozenset[QuestionKey]:
    """The questions that have a result in one of these runs. Raises DataSetError."""
    return frozenset(result.key for folder in folders for result in read_run(folder).results)


def _cost(questions: Sequence[EvaluationQuestion]) -> float:
    """Seconds of video that their windows cover, and the asking: no file has to be opened."""
    windows = sorted((each.window.start, each.window.end) for each in questions if each.window)
    covered, reached = 0.0, 0.0
    for start, end in windows:
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered + ASKING * len(questions)
