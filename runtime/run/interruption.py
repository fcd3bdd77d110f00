"""Ctrl-C, a lost terminal, being asked to end: noted, so that a run ends with whole records."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """While it is entered, the first signal is noted; a second one acts as it did before.

    A terminal that is lost tells so more than once: only the first time counts, and none where a
    run was begun not to hear of it (`nohup`). A shell begins what runs in the background deaf to
    Ctrl-C: whoever sends that signal to it all the same is heard. Signals reach the main thread
    only: entered in another, it notes none.
    """

    def __init__(self) -> None:
        self.came = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._note)
                for number in SIGNALS
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        if number == signal.SIGHUP:
            self._before[signal.SIGHUP] = signal.SIG_IGN
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
