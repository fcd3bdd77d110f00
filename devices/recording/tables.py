"""CSV tables: strict about the columns that are wanted, blind to what else is there."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.device import DeviceError


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers that is wanted, under the first of several names that the table has.

    `whole`: int64, exact beyond what a float holds (nanoseconds); else float64. `blank` stands for
    an empty cell, and for the whole column where the table lacks it; None where both are errors.
    """

    names: tuple[str, ...]
    whole: bool = False
    blank: float | None = None


def read_columns(path: Path, *wanted: Column) -> list[NDArray]:
    """The wanted columns of a CSV file, in the order asked for, each as long as the table.

    Raises DeviceError for a file that is missing, empty or no CSV, for a column that it lacks, and
    for a cell that is not a finite number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _read(path, csv.reader(file), wanted)
    except FileNotFoundError as error:
        raise DeviceError(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DeviceError(f"{path}: can't be read as a CSV table: {error}") from error


def _read(path: Path, rows: Iterable[list[str]], wanted: Sequence[Column]) -> list[NDArray]:
    """Cell by cell into plain arrays: an hour of gaze would be gigabytes of strings."""
    numbered = enumerate(rows, start=1)
    _, header = next(numbered, (1, []))
    if not header:
        raise DeviceError(f"{path}: the table is empty")
    places = [_place(path, header, column) for column in wanted]
    kept = [array("q" if column.whole else "d") for column in wanted]
    for number, row in numbered:
        if not row:
            continue
        for column, place, values in zip(wanted, places, kept, strict=True):
            text = row[place].strip() if place is not None and place < len(row) else ""
            try:
                values.append(_number(text, column))
            except (ArithmeticError, ValueError) as error:
                found = f"{text!r}, not a number" if text else "missing"
                raise DeviceError(f"{path}, row {number}: {column.names[0]} is {found}") from error
    return [np.array(values) for values in kept]


def _place(path: Path, header: Sequence[str], column: Column) -> int | None:
    names = [name.strip() for name in header]
    for name in column.names:
        if name in names:
            return names.index(name)
    if column.blank is not None:
        return None
    others = f" (or {', '.join(column.names[1:])})" if len(column.names) > 1 else ""
    raise DeviceError(f"{path}: it has no column {column.names[0]}{others}")


def _number(text: str, column: Column) -> float | int:
    if not text and column.blank is not None:
        return column.blank
    if not column.whole:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError
        return number
    exact = Decimal(text)
    if not exact.is_finite() or abs(exact) >= 2**63:
        raise ValueError
    return round(exact)
