"""The maker's own table of fixations: read, and written again with columns of ours behind his.

Every byte of the maker's stays as it is: columns are appended to his lines, not to his numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devices.clock import NANOSECONDS
from devices.device import DeviceError
from devices.recording.streamgaze import EPOCH
from runtime.coding.work import FixationRow

SECTION, RECORDING, NAME = "section id", "recording id", "fixation id"
START, END = "start timestamp [ns]", "end timestamp [ns]"
X, Y = "fixation x [px]", "fixation y [px]"
DELIMITERS = ",;\t"
MARK = b"\xef\xbb\xbf"
SECONDS = (("start_time_seconds", "start_time"), ("end_time_seconds", "end_time"))


@dataclass(frozen=True, slots=True)
class MakersTable:
    """`lines`: of the file with their line ends, the header first, as bytes; `cells`: read."""

    path: Path | None
    lines: tuple[bytes, ...]
    cells: tuple[tuple[str, ...], ...]
    delimiter: str

    @classmethod
    def read(cls, path: Path) -> MakersTable:
        """Read a file. Raises DeviceError for one that is no table."""
        return cls.of(path.read_bytes(), path)

    @classmethod
    def of(cls, content: bytes, path: Path | None = None) -> MakersTable:
        """The table in the bytes of a file."""
        lines = tuple(_records(content))
        if not lines:
            raise DeviceError(f"{path}: the table of fixations is empty: it has no header")
        try:
            header = lines[0].removeprefix(MARK).decode("utf-8")
            delimiter = max(DELIMITERS, key=header.count)
            cells = tuple(_cells(line.removeprefix(MARK), delimiter) for line in lines)
        except (UnicodeDecodeError, csv.Error) as error:
            raise DeviceError(f"{path}: the table of fixations can't be read: {error}") from error
        return cls(path, lines, cells, delimiter)

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(name.strip() for name in self.cells[0])

    def rows(self, width: int, height: int) -> list[FixationRow]:
        """The fixations in it that can be read; `width`, `height` of the scene in pixels."""
        read = _reader(self.header, width, height)
        if read is None:
            raise DeviceError(f"{self.path}: no table of fixations: it lacks {START!r}")
        rows = []
        for number, cells in enumerate(self.cells[1:]):
            row = dict(zip(self.header, cells, strict=False))
            try:
                rows.append(read(number, row))
            except (ValueError, KeyError, OverflowError):
                continue  # its line stays in the table, without a thing
        return rows

    def extended(self, names: Sequence[str], ours: Mapping[int, Sequence[str]]) -> bytes:
        """The table with our columns; rows that `ours` does not have get empty cells."""
        empty = [""] * len(names)
        values = [names, *(ours.get(number, empty) for number in range(len(self.lines) - 1))]
        pieces = []
        for line, added in zip(self.lines, values, strict=True):
            text, ending = _split_ending(line)
            if not text.strip():
                pieces.append(line)
                continue
            pieces.append(text + self.delimiter.encode() + _written(added, self.delimiter) + ending)
        return b"".join(pieces)


def _reader(header: Sequence[str], width: int, height: int):  # noqa: ANN202
    if START in header:
        return lambda number, row: _cloud_row(number, row, width, height)
    if "center_x" in header:
        return _streamgaze_row
    return None


def _cloud_row(number: int, row: Mapping[str, str], width: int, height: int) -> FixationRow:
    return FixationRow(
        number,
        row.get(NAME, str(number)),
        int(row[START]),
        int(row[END]),
        _number(row[X]) / width,
        _number(row[Y]) / height,
        row.get(SECTION, ""),
        row.get(RECORDING, ""),
    )


def _streamgaze_row(number: int, row: Mapping[str, str]) -> FixationRow:
    start, end = (
        EPOCH + round(_number(next(row[name] for name in names if name in row)) * NANOSECONDS)
        for names in SECONDS
    )
    x, y = _number(row["center_x"]), _number(row["center_y"])
    return FixationRow(number, row.get("fixation_id", str(number)), start, end, x, y)


def _number(text: str) -> float:
    value = float(text.replace(",", "."))
    if value != value or abs(value) > 1e9:
        raise ValueError(f"{text!r} is no place")
    return value


def _records(content: bytes) -> list[bytes]:
    """The lines of a file, those within quotes held together."""
    records, open_quote = [], b""
    for line in content.splitlines(keepends=True):
        open_quote += line
        if open_quote.count(b'"') % 2 == 0:
            records.append(open_quote)
            open_quote = b""
    return [*records, open_quote] if open_quote else records


def _cells(line: bytes, delimiter: str) -> tuple[str, ...]:
    text = _split_ending(line)[0].decode("utf-8")
    return tuple(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), ()))


def _split_ending(line: bytes) -> tuple[bytes, bytes]:
    text = line.rstrip(b"\r\n")
    return text, line[len(text) :]


def _written(cells: Sequence[str], delimiter: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(cells)
    return text.getvalue().encode("utf-8")
