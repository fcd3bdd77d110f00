"""What mini remembers by how long ago it was: a table, and a chart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.mini.remembered import NEEDED
from benchmarks.mini.trial import Judged
from benchmarks.streamgaze.reporting.significance import wilson

GAZE = 0  # place among the conditions
FEWEST = 20  # questions of an age that the chart shows
Ages = Mapping[str, Mapping[int, tuple[int, int]]]


def by_age(judged: Iterable[Judged]) -> Ages:
    """Right answers with gaze, and questions, by task and by how many steps ago the look was."""
    counted: dict[str, dict[int, tuple[int, int]]] = {task: defaultdict(_none) for task in NEEDED}
    for each in judged:
        if each.steps_ago is not None:
            right, asked = counted[each.task][each.steps_ago]
            counted[each.task][each.steps_ago] = right + each.is_right(GAZE), asked + 1
    return {task: dict(sorted(ages.items())) for task, ages in counted.items()}


def age_lines(ages: Ages) -> Iterator[str]:
    """The table, in per cent with 95 % intervals and the number of questions."""
    yield "| steps ago | " + " | ".join(ages) + " |"
    yield "| ---: |" + " ---: |" * len(ages)
    for age in sorted({age for each in ages.values() for age in each}):
        cells = (_cell(*each.get(age, _none())) for each in ages.values())
        yield f"| {age} | " + " | ".join(cells) + " |"


def draw_ages(path: Path, ages: Ages) -> None:
    """The chart, as a PNG file. Raises DataSetError where matplotlib is missing."""
    from benchmarks.streamgaze.reporting.charts import COLOURS, new_figure, save_figure

    figure, axes = new_figure(width=9)
    for colour, (task, each) in zip(COLOURS, ages.items(), strict=False):
        shown = {age: counts for age, counts in each.items() if counts[1] >= FEWEST}
        shares = [100 * right / asked for right, asked in shown.values()]
        ends = 100 * np.array([wilson(*counts) for counts in shown.values()]).reshape(-1, 2)
        axes.plot(list(shown), shares, "o-", label=NEEDED[task], color=colour)
        axes.fill_between(list(shown), *ends.T, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(25, color="#9a9a9a", linestyle=":", label="chance")
    axes.set_xlabel("how long ago the look was, in steps of 2 s")
    axes.set_ylabel("right answers, %")
    axes.set_ylim(0, 100)
    save_figure(figure, axes, path)


def _cell(right: int, asked: int) -> str:
    if not asked:
        return ""
    low, high = wilson(right, asked)
    return f"{100 * right / asked:.0f} ({100 * low:.0f} to {100 * high:.0f}) of {asked}"


def _none() -> tuple[int, int]:
    return 0, 0
