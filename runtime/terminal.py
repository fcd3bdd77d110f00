"""What a person reads: harmless text, on an output that may be gone or full."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from io import TextIOBase
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from devices.printable import printable
from runtime.printing import Printer

GONE = (errno.EPIPE, errno.EIO)  # nobody reads any more: a pipe, a terminal


class Paper(TextIOBase):
    """A stream that never fails: once it can't be written to, what is written is lost.

    `trouble`: why that is; None while all is well.
    """

    def __init__(self, stream: TextIO | Printer | None) -> None:
        """`stream`: None where there is none, as in a process begun with its output closed."""
        self.trouble: OSError | None = None
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write what the stream's encoding has characters for, the rest as question marks."""
        if self._stream is not None:
            try:
                self._stream.write(text.encode(self.encoding, "replace").decode(self.encoding))
            except OSError as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            try:
                self._stream.flush()
            except OSError as error:
                self._give_up(error)

    def settle(self) -> None:
        """Wait for a moment until what a printer was given is printed."""
        if isinstance(self._stream, Printer):
            try:
                self._stream.settle()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """What the stream still holds goes nowhere, or it would fail again at the exit."""
        self.trouble = error
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
        self._stream = None


class SafeConsole(Console):
    """A console on standard output on which text is only text, wherever it came from."""

    def __init__(self, file: TextIO | Printer | None = None) -> None:
        """`file`: instead of standard output."""
        self.paper = Paper(sys.stdout if file is None else file)
        super().__init__(file=self.paper, highlight=False, soft_wrap=True, markup=False)

    @property
    def trouble(self) -> str | None:
        """Why not all could be printed, if that is not because the reader left."""
        error = self.paper.trouble
        return None if error is None or error.errno in GONE else str(error.strerror)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """As any console does, but for characters that would move the cursor or hide text."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield segment._replace(text=harmless(segment.text))


def harmless(text: str) -> str:
    """The text with its spaces and line feeds; all else that is not printable is replaced."""
    return "".join(
        character if character in " \n" else printable(character, 1) or " " for character in text
    )


def fill_closed_streams() -> None:
    """Open nothing in place of standard streams that are closed.

    Else the next file that is opened takes their number, and gets what libraries print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
