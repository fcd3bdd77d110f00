"""Published results to stand beside: a CSV file of fractions, a model a row, a task a column."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.streamgaze.data.dataset import DataSetError
from benchmarks.streamgaze.data.tasks import TASKS, Task

HUMAN = "Human"
OVERALL = "overall"


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One model's accuracies, fractions, of the tasks it has figures for."""

    model: str
    tasks: Mapping[Task, float]
    overall: float | None


def read_published(path: Path) -> list[PublishedRow]:
    """Read a table with a column `model`, columns named by the tasks' short names, and `overall`.

    Raises DataSetError.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataSetError(f"--published {path}: can't be read: {error}") from error
    if not rows or "model" not in rows[0]:
        raise DataSetError(f"--published {path}: it has no column 'model'")
    return [
        PublishedRow(
            row["model"],
            {
                task: value
                for task in TASKS
                if (value := _fraction(path, row, task.short)) is not None
            },
            _fraction(path, row, OVERALL),
        )
        for row in rows
    ]


def _fraction(path: Path, row: Mapping[str, str | None], column: str) -> float | None:
    text = (row.get(column) or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise DataSetError(f"--published {path}: {column} of {row['model']} is {text!r}") from error
    if not 0 <= value <= 1:
        raise DataSetError(
            f"--published {path}: {column} of {row['model']} is {text}: fractions are wanted"
        )
    return value
