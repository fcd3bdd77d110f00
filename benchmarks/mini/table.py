"""Shares of right answers per task and condition, with 95 % intervals, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.mini.trial import CONDITIONS, Judged
from benchmarks.streamgaze.reporting.significance import wilson

TWO_WAY = "proactive_"  # how the tasks begin whose options are Yes and No


class Tally:
    """Right answers by task and condition, of the first `most` questions of every task."""

    def __init__(self, tasks: Iterable[str], most: int) -> None:
        self._most = most
        self._counts = dict.fromkeys(tasks, 0)
        self._right = {task: [0] * len(CONDITIONS) for task in self._counts}

    @property
    def open_tasks(self) -> frozenset[str]:
        """The tasks that lack questions."""
        return frozenset(task for task, count in self._counts.items() if count < self._most)

    @property
    def wanted(self) -> int:
        """Questions in a full tally."""
        return self._most * len(self._counts)

    @property
    def counted(self) -> int:
        """Questions so far."""
        return sum(self._counts.values())

    @property
    def is_full(self) -> bool:
        """Whether every task has its questions."""
        return self.counted == self.wanted

    def add(self, judged: Iterable[Judged]) -> None:
        """Count answers; those of a task that has enough are left out."""
        for each in judged:
            if self._counts[each.task] == self._most:
                continue
            self._counts[each.task] += 1
            for condition in range(len(CONDITIONS)):
                self._right[each.task][condition] += each.is_right(condition)

    def right(self, task: str, condition: int) -> tuple[int, int]:
        """Right answers to a task under a condition, and how many there were."""
        return self._right[task][condition], self._counts[task]


def table_lines(tally: Tally, tasks: Iterable[str]) -> Iterator[str]:
    """The lines of the table, in per cent."""
    yield "| task | questions | chance | " + " | ".join(CONDITIONS) + " |"
    yield "| --- | ---: | ---: |" + " ---: |" * len(CONDITIONS)
    for task in tasks:
        cells = [_cell(*tally.right(task, condition)) for condition in range(len(CONDITIONS))]
        _, count = tally.right(task, 0)
        chance = "50" if task.startswith(TWO_WAY) else "25"
        yield f"| {task} | {count} | {chance} | " + " | ".join(cells) + " |"


def agreement_line(judged: Sequence[Judged], other: Sequence[Judged]) -> str:
    """How many of the first answers are the same from another engine."""
    pairs = [
        (one, two)
        for ours, theirs in zip(judged, other, strict=False)
        for one, two in zip(ours.answers, theirs.answers, strict=True)
    ]
    same = sum(one == two for one, two in pairs)
    low, high = wilson(same, len(pairs))
    return (
        f"PyTorch with hooks gives the same answer in {same} of {len(pairs)}: "
        f"{100 * same / len(pairs):.2f} % ({100 * low:.2f} to {100 * high:.2f})"
    )


def _cell(right: int, count: int) -> str:
    low, high = wilson(right, count)
    share = right / count if count else 0.0
    return f"{100 * share:.1f} ({100 * low:.1f} to {100 * high:.1f})"
