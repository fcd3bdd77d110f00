"""Clocks: one protocol, so that hours of stream run in seconds where nothing real is waited for."""

from __future__ import annotations

import threading
import time
from typing import Protocol

NANOSECONDS = 1_000_000_000


class Clock(Protocol):
    """Unix nanoseconds, and a way to let them pass."""

    def now(self) -> int:
        """The present, in Unix ns."""
        ...

    def sleep_until(self, moment: int) -> None:
        """Return once `now()` is at least `moment` (Unix ns)."""
        ...


class SystemClock:
    """The host's clock, optionally shifted: a recording is replayed in the time it was made.

    It advances with the monotonic clock, so that a step of the wall clock moves nothing.
    """

    def __init__(self, start: int | None = None) -> None:
        """`start`: what `now()` says at this moment, Unix ns; None for the true time."""
        self._offset = (time.time_ns() if start is None else start) - time.monotonic_ns()

    def now(self) -> int:
        return time.monotonic_ns() + self._offset

    def sleep_until(self, moment: int) -> None:
        while (remaining := moment - self.now()) > 0:
            time.sleep(remaining / NANOSECONDS)


class SimulatedClock:
    """Time that passes only when somebody waits for it."""

    def __init__(self, start: int) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> int:
        return self._now

    def sleep_until(self, moment: int) -> None:
        with self._lock:
            self._now = max(self._now, moment)
