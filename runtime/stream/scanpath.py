"""Fixations as the released code holds them: middle and duration, in float32 seconds of the video.

Source: the GazeQwen release (arXiv 2603.25841). Its rounding decides about a fixation that begins
or ends exactly at a step. The live loop decides in whole nanoseconds instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.samples import Fixation

SHORTEST = np.float32(1e-6)  # seconds that a fixation lasts at least


@dataclass(frozen=True, slots=True, eq=False)
class Scanpath:
    """Fixations that have ended, with their middles and halves of their durations.

    `origin`: the video's first frame, Unix ns. Arrays: (n,) float32, seconds from there.
    """

    fixations: tuple[Fixation, ...]
    origin: int
    middles: NDArray[np.float32]
    halves: NDArray[np.float32]

    @classmethod
    def of(cls, fixations: Sequence[Fixation], origin: int) -> Scanpath:
        """Of those among `fixations` that have ended."""
        ended = tuple(fixation for fixation in fixations if fixation.ended_at is not None)
        spans = np.array(
            [(fixation.started_at - origin, fixation.ended_at - origin) for fixation in ended],
            np.int64,
        ).reshape(-1, 2)
        begins, ends = spans[:, 0] / NANOSECONDS, spans[:, 1] / NANOSECONDS
        durations = np.maximum((ends - begins).astype(np.float32), SHORTEST)
        middles = ((begins + ends) / 2).astype(np.float32)
        return cls(ended, origin, middles, durations / np.float32(2))

    def within(self, start: int, end: int) -> Scanpath:
        """Those whose middle lies in the clip [start, end], Unix ns."""
        kept = (self.middles >= self._seconds(start)) & (self.middles <= self._seconds(end))
        return Scanpath(self._chosen(kept), self.origin, self.middles[kept], self.halves[kept])

    def active_at(self, moment: int) -> tuple[Fixation, ...]:
        """Those that span a moment, Unix ns."""
        at = self._seconds(moment)
        spans = (self.middles - self.halves <= at) & (at <= self.middles + self.halves)
        return self._chosen(spans)

    def _seconds(self, moment: int) -> np.float32:
        return np.float32((moment - self.origin) / NANOSECONDS)

    def _chosen(self, which: NDArray[np.bool_]) -> tuple[Fixation, ...]:
        return tuple(self.fixations[index] for index in np.flatnonzero(which))
