"""What a run came to, by task: official figures, and how far they can be trusted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks.streamgaze.asking.results import Run
from benchmarks.streamgaze.data.scoring import Score, overall, question_weighted
from benchmarks.streamgaze.data.tasks import TASKS, Task
from benchmarks.streamgaze.reporting.significance import wilson


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """One task of a run. `skipped`: questions that were not asked, by cause."""

    task: Task
    score: Score
    skipped: Mapping[str, int]

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return wilson(self.score.correct, self.score.total)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run by task, in the order of published tables.

    `overall`: the official figure, an unweighted mean over tasks, those of which nothing counted
    (`unscored`) as 0; None of nothing. `weighted`: all questions in one pot.
    """

    tasks: tuple[TaskSummary, ...]
    overall: float | None
    weighted: Score

    @property
    def unscored(self) -> tuple[str, ...]:
        """Short names of tasks of which there is a file, but nothing that counts."""
        return tuple(own.task.short for own in self.tasks if not own.score.total)

    @property
    def mean_of_scored(self) -> float | None:
        """The unweighted mean over the tasks of which anything counted."""
        return overall(own.score for own in self.tasks if own.score.total)

    def of(self, task: Task) -> TaskSummary | None:
        """What a task came to, if it was in the run."""
        return next((own for own in self.tasks if own.task == task), None)


def summarise(run: Run) -> RunSummary:
    """Score the results of a run by the official rules."""
    tasks = []
    for task in TASKS:
        own = [result for result in run.results if result.key.task == task.name]
        if own or task.name in run.conditions.empty:
            counted = [result.correct for result in own if result.correct is not None]
            skipped = Counter(result.skipped for result in own if result.skipped is not None)
            tasks.append(TaskSummary(task, Score(sum(counted), len(counted)), skipped))
    scores = [task.score for task in tasks]
    return RunSummary(tuple(tasks), overall(scores), question_weighted(scores))


def summary_lines(run: Run) -> Iterator[str]:
    """A run in a few lines of text."""
    summary = summarise(run)
    for task in summary.tasks:
        low, high = task.interval
        skipped = f"; skipped: {by_cause(task.skipped)}" if task.skipped else ""
        yield (
            f"{task.task.short:5} {percent(task.score.accuracy)} of {task.score.total} "
            f"(95 %: {percent(low)} to {percent(high)}){skipped}"
        )
    weighted = summary.weighted
    yield f"mean of {len(summary.tasks)} tasks (official): {percent(summary.overall)}"
    if summary.unscored:
        scored = len(summary.tasks) - len(summary.unscored)
        yield (
            f"mean of {scored} tasks without {', '.join(summary.unscored)}, of which nothing "
            f"counts (official: 0 %): {percent(summary.mean_of_scored)}"
        )
    yield f"all {weighted.total} questions in one pot: {percent(weighted.accuracy)}"


def accuracy_cell(score: Score) -> str:
    """An accuracy with Wilson's 95 % interval, as tables show it; a dash for nothing."""
    if score.accuracy is None:
        return "-"
    low, high = wilson(score.correct, score.total)
    return f"{percent(score.accuracy)} [{100 * low:.1f}, {100 * high:.1f}]"


def skip_lines(name: str, summary: RunSummary) -> Iterator[str]:
    """What was not asked in the run called `name`, by task and cause, as a list in Markdown."""
    for task in summary.tasks:
        if task.skipped:
            yield f"- skipped in `{name}`, {task.task.short}: {by_cause(task.skipped)}"


def by_cause(skipped: Mapping[str, int]) -> str:
    """Skips in words."""
    return ", ".join(f"{number} {cause}" for cause, number in sorted(skipped.items()))


def percent(fraction: float | None) -> str:
    """A fraction as tables show it; a dash for None."""
    return "-" if fraction is None else f"{100 * fraction:.1f} %"


def percentile(values: Iterable[float], share: float) -> float | None:
    """The value that `share` of all do not exceed (nearest rank); None of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
