"""Corrections by a person: a table that grows by one line with each, and is never written anew."""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from devices.printable import printable
from runtime.coding.ledger import CodingError
from runtime.coding.question import LONGEST_NAME

CORRECTIONS_FILE = "corrections.csv"
CORRECTION_COLUMNS = ("row", "fixation id", "thing", "proposal")
ROW, THING = "row", "thing"


def read_corrections(path: Path, column: str = THING) -> dict[int, str]:
    """The thing that a person gave by the number of the row; the last line of a row counts.

    Empty: unsure. `column`: "proposal" for what she was proposed. A last line that was cut short
    is as if it had never been begun. Raises CodingError for a file that is none.
    """
    try:
        content = path.read_bytes()
        whole = content[: _whole_length(content)]
        table = csv.DictReader(io.StringIO(whole.decode("utf-8-sig"), newline=""))
        if not {ROW, column} <= set(table.fieldnames or ()):
            raise CodingError(f"{path}: no corrections: it needs the columns 'row' and {column!r}")
        return {int(line[ROW]): thing_name(line[column]) for line in table if line[ROW]}
    except (OSError, ValueError, csv.Error) as error:
        raise CodingError(f"{path}: the corrections can't be read: {error}") from error


def thing_name(text: str | None) -> str:
    """A thing's name as a person types it, fit for tables and pages."""
    return printable(text or "", LONGEST_NAME)


class CorrectionsFile:
    """Takes one correction after the other; each is on the disk before the next."""

    def __init__(self, path: Path) -> None:
        """Begin a file, or go on with one.

        Raises CodingError for one that is no corrections, or that another process writes.
        """
        self._path = path
        try:
            if not path.exists():
                _begin(path)
            self.before = read_corrections(path)
            self._file = path.open("ab+", buffering=0)
            self._lock()
            self._columns = self._repaired()
        except OSError as error:
            raise CodingError(f"{path}: can't be written: {error.strerror}") from error

    def add(self, cells: Mapping[str, str]) -> None:
        """Write what the columns of a fixation's line are; afterwards not even a power cut loses
        it. Raises CodingError."""
        try:
            self._write([cells.get(name, "") for name in self._columns])
        except OSError as error:
            raise CodingError(f"{self._path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file, which lets others go on with it."""
        self._file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CodingError(f"{self._path}: another process writes these corrections") from error

    def _repaired(self) -> list[str]:
        """Its columns; what follows the last whole line is cut off."""
        self._file.seek(0)
        content = self._file.read()
        whole = _whole_length(content)
        self._file.truncate(whole)
        if not content[:whole].endswith(b"\n"):
            self._file.write(b"\n")
        return next(csv.reader([content.decode("utf-8-sig").splitlines()[0]]))

    def _write(self, cells: Sequence[str]) -> None:
        self._file.write(_line(cells))
        os.fsync(self._file.fileno())


def _begin(path: Path) -> None:
    """A file that has its header from the first moment on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(_line(CORRECTION_COLUMNS))
    partial.replace(path)


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8")


def _whole_length(content: bytes) -> int:
    """How many bytes hold whole lines: one without its end may come from an editor that writes
    none, or have been cut short, which shows in the cells that it lacks."""
    last = content.rfind(b"\n") + 1
    if last in (0, len(content)):
        return len(content)
    widths = [
        len(next(csv.reader([line.decode("utf-8", "replace")]), ()))
        for line in (content[: content.find(b"\n")], content[last:])
    ]
    return len(content) if widths[0] == widths[1] else last
