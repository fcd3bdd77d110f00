"""What a run prints is printed by a thread: a terminal that is halted never halts the run."""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from io import TextIOBase
from typing import TextIO

LONGEST = 1 << 20  # characters that wait: an hour of a run that is asked all along
PATIENCE = 1.0  # seconds that a reader is waited for at the end


def unhindered(stream: TextIO | None) -> TextIO | Printer | None:
    """The stream, with a printer of its own where it is one of the system's."""
    try:
        return None if stream is None else Printer(stream)
    except (OSError, ValueError):  # it lives in memory, or is closed
        return stream


class Printer(TextIOBase):
    """A stream that takes text at once and has a thread write it, however long that takes.

    A pipe that nobody reads and a terminal that was halted (Ctrl-S) take nothing, for as long as
    they like. Up to `LONGEST` characters wait for them; what comes beyond is lost, and `settle`
    says so. What the thread could not write is raised by the next call.
    """

    def __init__(self, stream: TextIO) -> None:
        """`stream` has a file descriptor; what it holds already is written first."""
        stream.flush()
        self._stream = stream
        self._number = stream.fileno()
        self._waiting: deque[str] = deque()
        self._size = self._lost = 0
        self._error: OSError | None = None
        self._is_over = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._print, name="printer", daemon=True)
        self._thread.start()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._number

    def write(self, text: str) -> int:
        """Have it written. Raises OSError if what came before could not be."""
        with self._changed:
            self._complain()
            if self._size + len(text) > LONGEST:
                self._lost += len(text)
            else:
                self._waiting.append(text)
                self._size += len(text)
                self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Nothing waits that is not being written already. Raises OSError as `write` does."""
        with self._changed:
            self._complain()

    def settle(self, patience: float = PATIENCE) -> None:
        """Wait so many seconds until all is written: there is no more. Raises OSError if not."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._thread.join(patience)
        with self._changed:
            self._complain()
            self._lost += self._size
            if self._lost:
                lost = f"nobody reads it, {self._lost} characters are missing"
                raise OSError(errno.EAGAIN, lost)

    def _complain(self) -> None:
        if self._error is not None:
            raise self._error

    def _print(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_over)
                if not self._waiting:
                    return
                text = self._waiting.popleft()
            try:
                left = text.encode(self.encoding, "replace")
                while left:
                    left = left[os.write(self._number, left) :]
            except OSError as error:
                with self._changed:
                    self._error = error
                return
            with self._changed:
                self._size -= len(text)
