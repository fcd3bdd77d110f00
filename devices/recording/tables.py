"""CSV tables: strict about what is needed, tolerant of what else is there."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devices.device import DeviceError


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a CSV file by column name."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]

    def column(self, *aliases: str) -> str:
        """The first of several names that the table has; DeviceError names the missing column."""
        for name in aliases:
            if name in self.columns:
                return name
        others = f" (or {', '.join(aliases[1:])})" if len(aliases) > 1 else ""
        raise DeviceError(f"{self.path}: it has no column {aliases[0]}{others}")

    def numbers(self, *aliases: str) -> list[float]:
        """A column as finite numbers; DeviceError names the row and what stands there."""
        name = self.column(*aliases)
        return [self._number(row[name], name, line) for line, row in enumerate(self.rows, start=2)]

    def integers(self, *aliases: str) -> list[int]:
        """A column of whole numbers that may exceed what a float holds (nanoseconds)."""
        name = self.column(*aliases)
        try:
            return [int(row[name]) for row in self.rows]
        except (TypeError, ValueError):
            return [round(number) for number in self.numbers(name)]

    def _number(self, text: str | None, name: str, line: int) -> float:
        try:
            number = float(text or "")
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise DeviceError(f"{self.path}, line {line}: {name} is {text!r}, not a number")
        return number


def read_table(path: Path, needed: Sequence[str] = ()) -> Table:
    """Read a CSV file. Raises DeviceError for one that is missing, empty or lacks a column."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = tuple(reader)
            columns = tuple(name.strip() for name in reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DeviceError(f"{path}: can't be read as a CSV table") from error
    if not columns:
        raise DeviceError(f"{path}: the table is empty")
    table = Table(path, columns, rows)
    for name in needed:
        table.column(name)
    return table
