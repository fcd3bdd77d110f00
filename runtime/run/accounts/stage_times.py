"""How long each stage took over a run of any length, in bounded memory."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping

from runtime.answers.record import Percentiles

GROWTH = math.log(1.01)  # buckets one percent wide
SHORTEST = 1e-3  # milliseconds


class StageTimes:
    """Counts durations in buckets."""

    def __init__(self) -> None:
        self._buckets: dict[str, Counter[int]] = defaultdict(Counter)
        self._longest: dict[str, float] = defaultdict(float)

    def add(self, stages_ms: Mapping[str, float]) -> None:
        """Count one duration of each of these stages, in milliseconds."""
        for stage, milliseconds in stages_ms.items():
            bucket = round(math.log(max(milliseconds, SHORTEST)) / GROWTH)
            self._buckets[stage][bucket] += 1
            self._longest[stage] = max(self._longest[stage], milliseconds)

    def percentiles(self) -> dict[str, Percentiles]:
        """Per stage."""
        return {
            stage: Percentiles(
                counts.total(),
                *(_quantile(counts, share) for share in (0.5, 0.95, 0.99)),
                max=self._longest[stage],
            )
            for stage, counts in self._buckets.items()
        }


def _quantile(counts: Counter[int], share: float) -> float:
    """The smallest duration that at least `share` of all do not exceed."""
    wanted = math.ceil(share * counts.total())
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted:
            return math.exp(bucket * GROWTH)
    raise ValueError("a quantile of nothing")
