"""CSV tables: strict about the columns that are wanted, blind to what else is there."""

from __future__ import annotations

import csv
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.device import DeviceError

WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
HOLES = ("", "nan", "na", "n/a", "null", "none")
DIGITS_TO_SPARE = 3  # of nanoseconds: within a microsecond frames and gaze stay in their places


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers that is wanted, under the first of several names that the table has.

    `whole`: int64, exact beyond what a float holds (nanoseconds); else float64. `blank` stands for
    an empty cell, and for the whole column where the table lacks it; None where both are errors.
    `hole`: a cell may say that there is no number, which is read as nan; the column must be there.
    `scale`: what a number is multiplied by, exactly, before it is rounded to a `whole` one.
    """

    names: tuple[str, ...]
    whole: bool = False
    blank: float | None = None
    hole: bool = False
    scale: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of a table that could be read; how many could not, by cause; how many times in it
    are known to a microsecond only."""

    columns: list[NDArray]
    left_out: Mapping[str, int]
    rounded: int

    @property
    def total(self) -> int:
        """Rows of the table."""
        return self.columns[0].size + sum(self.left_out.values())


class _Unreadable(Exception):
    """A cell that is no number. The message says so; `cause` is short."""

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


def read_columns(path: Path, *wanted: Column) -> list[NDArray]:
    """The wanted columns of a CSV file, in the order asked for, each as long as the table.

    Raises DeviceError for a file that is missing, empty or no CSV, for a column that it lacks, and
    for a cell that is not a finite number.
    """
    return _opened(path, wanted, strict=True).columns


def read_rows(path: Path, *wanted: Column) -> Rows:
    """The same of the rows that can be read; a row with a cell that can't is left out.

    Raises DeviceError for the file, its header, and times that lost their digits on the way.
    """
    return _opened(path, wanted, strict=False)


def _opened(path: Path, wanted: Sequence[Column], strict: bool) -> Rows:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            table = _Table(path, csv.reader(file, delimiter=_delimiter(first)), wanted)
            return table.read(strict)
    except FileNotFoundError as error:
        raise DeviceError(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DeviceError(f"{path}: can't be read as a CSV table: {error}") from error


def _delimiter(header: str) -> str:
    """Spreadsheets of half of Europe write semicolons, since their commas are decimal."""
    return max(",;\t", key=header.count)


class _Table:
    """Cell by cell into plain arrays: an hour of gaze would be gigabytes of strings."""

    def __init__(self, path: Path, rows: Iterable[list[str]], wanted: Sequence[Column]) -> None:
        self._path = path
        self._wanted = wanted
        self._rows = enumerate(rows, start=1)
        _, header = next(self._rows, (1, []))
        if not header:
            raise DeviceError(f"{path}: the table is empty")
        self._width = len(header)
        self._places = [_place(path, header, column) for column in wanted]
        self._rounded = 0

    def read(self, strict: bool) -> Rows:
        kept = [array("q" if column.whole else "d") for column in self._wanted]
        left_out: Counter[str] = Counter()
        for number, row in self._rows:
            if not row:
                continue
            try:
                numbers = self._numbers(row)
            except _Unreadable as error:
                if strict:
                    raise DeviceError(f"{self._path}, row {number}: {error}") from error
                left_out[error.cause] += 1
                continue
            for values, value in zip(kept, numbers, strict=True):
                values.append(value)
        return Rows([np.array(values) for values in kept], left_out, self._rounded)

    def _numbers(self, row: list[str]) -> list[float | int]:
        numbers = []
        for column, place in zip(self._wanted, self._places, strict=True):
            text = row[place].strip() if place is not None and place < len(row) else ""
            try:
                numbers.append(self._number(text, column))
            except (ArithmeticError, ValueError) as error:
                name = column.names[0]
                if text:
                    raise _Unreadable(
                        f"{name} is {text!r}, not a number", "not a number"
                    ) from error
                whole = len(row) >= self._width
                cause = "not a number" if whole else "cut off"
                raise _Unreadable(f"{name} is missing", cause) from error
        return numbers

    def _number(self, text: str, column: Column) -> float | int:
        if not text and column.blank is not None:
            return column.blank
        if column.hole and text.lower() in HOLES:
            return math.nan
        written = text
        if "," in text and "." not in text:
            text = text.replace(",", ".")
        if not column.whole:
            number = WORDS[text.lower()] if text.lower() in WORDS else float(text)
            if not math.isfinite(number):
                raise ValueError
            return number * column.scale
        exact = Decimal(text)
        if not exact.is_finite() or abs(exact * column.scale) >= 2**63:
            raise ValueError
        self._check_digits(written, exact)
        return round(exact * column.scale)

    def _check_digits(self, text: str, exact: Decimal) -> None:
        """A number like 1.72855E+18 names a span of hours. Raises DeviceError."""
        exponent = exact.as_tuple().exponent
        if not isinstance(exponent, int) or exponent <= 0:
            return
        if exponent > DIGITS_TO_SPARE:
            raise DeviceError(
                f"{self._path}: the time {text} has lost its digits: a spreadsheet program (such "
                "as Excel or LibreOffice) saved this table: download or export it again and don't "
                "save it from there"
            )
        self._rounded += 1


def _place(path: Path, header: Sequence[str], column: Column) -> int | None:
    names = [name.strip() for name in header]
    for name in column.names:
        if name in names:
            return names.index(name)
    if column.blank is not None:
        return None
    others = f" (or {', '.join(column.names[1:])})" if len(column.names) > 1 else ""
    raise DeviceError(f"{path}: it has no column {column.names[0]}{others}")
