"""How long so many workers would take for units whose times are known, by the order of units."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def makespan(seconds: Sequence[float], workers: int, overhead: float = 0.0) -> float:
    """Seconds until the last of these units is done, each going to the first worker that is free.

    `overhead`: seconds by which a unit takes longer than its work.
    """
    free = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each + overhead)
    return max(free)


def ideal(seconds: Sequence[float], workers: int) -> float:
    """The least that any order can reach: an even share each, or the longest unit."""
    return max(sum(seconds) / workers, max(seconds))
