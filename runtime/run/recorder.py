"""The file of JSON lines that a run appends its records to."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import msgspec

from runtime.answers.listeners import News
from runtime.answers.record import Record
from runtime.errors import RuntimeFault

PATIENCE = 200  # milliseconds for which the reader of a pipe may let it be full
UNREAD = "nobody reads this pipe: start its reader first"


class Recorder:
    """Appends records to a file, each complete as soon as it is written; no file, no records.

    A file that can't be written any further, or a pipe that its reader leaves or lets be full, does
    not end the run: `notice` hears of it at once, and `close` says it again.
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
                self._file = FileIO(path, "ab", opener=_open_at_once)
                if _ends_within_a_line(path):
                    self._file.write(b"\n")
            except OSError as error:
                unread = error.errno == errno.ENXIO
                reason = UNREAD if unread else error.strerror
                raise RuntimeFault(f"--record {path}: {reason}") from error

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
                line = line[self._written(self._file, line) :]
        except OSError as error:
            self._file.close()
            self._file = None
            self._trouble = f"--record {self._path}: {error.strerror}"
            self._notice(f"{self._trouble}: from here on nothing is recorded")

    @staticmethod
    def _written(file: FileIO, line: bytes) -> int:
        """Write what there is room for now, or soon, and return how much that was."""
        written = file.write(line)
        if written is None:  # a pipe that is full
            waiting = select.poll()
            waiting.register(file, select.POLLOUT)
            if not waiting.poll(PATIENCE):
                raise BlockingIOError(errno.EAGAIN, "the reader of this pipe does not keep up")
            written = file.write(line)
        return written or 0

    def close(self) -> None:
        """Close the file. Raises RuntimeFault if records are missing in it."""
        if self._file is not None:
            self._file.close()
        if self._trouble is not None:
            raise RuntimeFault(f"{self._trouble}: what came later is not in it")


def _open_at_once(path: str, flags: int) -> int:
    """As `open` does; a pipe without a reader is an error, and no write to a full one blocks."""
    return os.open(path, flags | os.O_NONBLOCK, 0o666)


def _ends_within_a_line(path: Path) -> bool:
    """Whether an earlier run was killed while it wrote."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
