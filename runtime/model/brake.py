"""How often the newest frames are encoded before anything waits for them.

So a question finds its frames encoded; but a small machine that encodes whenever there is time runs
at full power. The brake changes how soon an answer comes, never what it rests on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from devices.clock import NANOSECONDS, Clock
from runtime.stream.steps import StepPlan

BUSY = "encoder busy"
RATE = "encode rate"
ANSWERING = "answer being generated"
UNNEEDED = "not needed by a step"  # where only what a step or a question needs is encoded


class Brake:
    """Says when a pair of frames may be encoded ahead. Safe to share between threads."""

    def __init__(self, rate: float | None = None) -> None:
        """`rate`: pairs per second at most.

        None: every pair, as long as the encoder then rests half of its time; else as many as
        leave it that.
        """
        self._interval = None if rate is None else round(NANOSECONDS / rate)
        self._opens_at = 0  # Unix ns
        self._is_encoding = False
        self._encoded: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def cause(self, now: int) -> str | None:
        """Why frames that come at `now` (Unix ns) are left out; None if they are not."""
        with self._lock:
            if now < self._opens_at:
                return RATE
            return BUSY if self._is_encoding and self._interval is None else None

    def lets_through(self, plan: StepPlan, waiting: StepPlan | None, now: int) -> bool:
        """Whether `plan` may be encoded ahead at `now` (Unix ns), in place of what is `waiting`.

        New gaze on frames that are encoded costs next to nothing and always may.
        """
        encoded = self._encoded
        if plan.pair.key == encoded or self.cause(now) is None:
            return True
        return waiting is not None and waiting.pair.key != encoded

    @contextmanager
    def encoding(self, pair: tuple[int, int], clock: Clock) -> Iterator[None]:
        """Around the encoding of a pair of frames, whatever it is for."""
        began = clock.now()
        with self._lock:
            self._is_encoding = True
            if self._interval is not None:
                self._opens_at = self._next(began, self._interval)
        try:
            yield
        finally:
            ended = clock.now()
            with self._lock:
                self._is_encoding = False
                self._encoded = pair
                if self._interval is None:
                    self._opens_at = ended + (ended - began)

    def _next(self, began: int, interval: int) -> int:
        """An interval after the last time, so that a late start makes the rate no lower."""
        due = self._opens_at + interval
        return due if began < due < began + interval else began + interval
