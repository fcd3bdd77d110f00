"""How long each stage took over a run of any length, in memory that is there from the start."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from runtime.answers.record import Percentiles

GROWTH = math.log(1.01)  # buckets one percent wide
SHORTEST, LONGEST = 1e-3, 1e7  # milliseconds; what is beyond counts as such
FIRST = round(math.log(SHORTEST) / GROWTH)
BUCKETS = round(math.log(LONGEST) / GROWTH) - FIRST + 1


class StageTimes:
    """Counts durations in buckets.

    All of a stage's are there once it is known: as a table that grows with the durations seen, they
    would make a run of hours look as if it leaked.
    """

    def __init__(self) -> None:
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._longest: dict[str, float] = {}

    def add(self, stages_ms: Mapping[str, float]) -> None:
        """Count one duration of each of these stages, in milliseconds."""
        for stage, milliseconds in stages_ms.items():
            if stage not in self._counts:
                self._counts[stage] = np.zeros(BUCKETS, np.int64)
            counted = min(max(milliseconds, SHORTEST), LONGEST)
            self._counts[stage][round(math.log(counted) / GROWTH) - FIRST] += 1
            self._longest[stage] = max(self._longest.get(stage, 0.0), milliseconds)

    def percentiles(self) -> dict[str, Percentiles]:
        """Per stage."""
        return {
            stage: Percentiles(
                int(counts.sum()),
                *(_quantile(counts, share) for share in (0.5, 0.95, 0.99)),
                max=self._longest[stage],
            )
            for stage, counts in self._counts.items()
        }


def _quantile(counts: NDArray[np.int64], share: float) -> float:
    """The smallest duration that at least `share` of all do not exceed."""
    below = np.cumsum(counts)
    bucket = int(np.searchsorted(below, math.ceil(share * below[-1])))
    return math.exp((bucket + FIRST) * GROWTH)
