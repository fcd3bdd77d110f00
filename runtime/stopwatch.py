"""Time spent per stage, measured once and read by whoever reports it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

NANOSECONDS_PER_MILLISECOND = 1_000_000


class Stopwatch:
    """Adds up the time of named stages. `timer` returns nanoseconds of any monotonic clock."""

    def __init__(
        self,
        timer: Callable[[], int] = time.perf_counter_ns,
        spent: Mapping[str, int] | None = None,
    ) -> None:
        """`spent`: stages that are over, and the nanoseconds that they took."""
        self._timer = timer
        self._spent: dict[str, int] = defaultdict(int, spent or {})
        self._began = timer() - sum(self._spent.values())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time inside the block to a stage."""
        began = self._timer()
        try:
            yield
        finally:
            self._spent[name] += self._timer() - began

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since it was made, and those of the stages that were over then."""
        return (self._timer() - self._began) / NANOSECONDS_PER_MILLISECOND

    def stages_ms(self) -> Mapping[str, float]:
        """Milliseconds per stage so far."""
        return {
            name: round(spent / NANOSECONDS_PER_MILLISECOND, 3)
            for name, spent in self._spent.items()
        }
