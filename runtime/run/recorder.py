"""The file of JSON lines that a run appends its records to."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import msgspec

from runtime.answers.listeners import News
from runtime.answers.record import Record
from runtime.errors import RuntimeFault


class Recorder:
    """Appends records to a file, each complete as soon as it is written; no file, no records.

    A file that can't be written any further does not end the run: `notice` hears of it at once, and
    `close` says it again.
    """

    def __init__(self, path: Path | None, notice: Callable[[str], None]) -> None:
        """Raises RuntimeFault for a file that can't be written."""
        self._path = path
        self._notice = notice
        self._file: FileIO | None = None
        self._trouble: str | None = None
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("ab", buffering=0)
                if _ends_within_a_line(path):
                    self._file.write(b"\n")
            except OSError as error:
                raise RuntimeFault(f"--record {path}: {error.strerror}") from error

    def hear(self, news: News) -> None:
        """Write what is a record; the rest is for people."""
        if isinstance(news, Record):
            self.write(news)

    def write(self, record: Record) -> None:
        """Write one record."""
        if self._file is None:
            return
        line = msgspec.json.encode(record) + b"\n"
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            self._file.close()
            self._file = None
            self._trouble = f"--record {self._path}: {error.strerror}"
            self._notice(f"{self._trouble}: from here on nothing is recorded")

    def close(self) -> None:
        """Close the file. Raises RuntimeFault if records are missing in it."""
        if self._file is not None:
            self._file.close()
        if self._trouble is not None:
            raise RuntimeFault(f"{self._trouble}: what came later is not in it")


def _ends_within_a_line(path: Path) -> bool:
    """Whether an earlier run was killed while it wrote."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
