"""A live device's own fixations put where its gaze is.

The wearer's offset is part of all gaze that a phone streams, but before version 2.9.31 of its app
not of the centres of fixations, and the phone tells neither the offset nor the version. Both are
seen in the same frame, so a centre that lies off its own gaze is put right by it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from statistics import median

from devices.clock import NANOSECONDS
from devices.device import Delivery
from devices.samples import Fixation, GazeSample, Sample

KEPT = 10 * NANOSECONDS  # of gaze: longer than a fixation lasts
FEWEST_SAMPLES = 5  # of gaze in a fixation, to compare it with
FEWEST_FIXATIONS = 3  # before a difference is believed to be an offset
REMEMBERED = 15  # fixations; of their differences the median counts
LEAST_DEGREES = 0.25  # smaller differences are those of two ways to take a mean
TOLD_DEGREES = 1.0


class OffsetWatch:
    """Follows one device. Used from one thread."""

    def __init__(self, frame_width: int, frame_height: int, field: float) -> None:
        """The scene's size in pixels, and the camera's field across it in degrees."""
        self._degrees = field, field * frame_height / frame_width  # of a whole frame
        self._gaze: deque[GazeSample] = deque()
        self._away: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        self._is_told = False

    def put_right(self, delivery: Delivery) -> Delivery:
        """The same delivery with its fixations' centres where their gaze is."""
        samples = tuple(self._take(sample) for sample in delivery.samples)
        notices = (*delivery.notices, *self._notice())
        return replace(delivery, samples=samples, notices=notices)

    def _take(self, sample: Sample) -> Sample:
        if isinstance(sample, GazeSample):
            self._gaze.append(sample)
            while self._gaze[0].captured_at < sample.captured_at - KEPT:
                self._gaze.popleft()
        elif isinstance(sample, Fixation) and sample.ended_at is not None:
            return self._placed(sample, sample.ended_at)
        return sample

    def _placed(self, fixation: Fixation, ended_at: int) -> Fixation:
        within = [
            gaze
            for gaze in self._gaze
            if gaze.worn and fixation.started_at <= gaze.captured_at <= ended_at
        ]
        if len(within) >= FEWEST_SAMPLES:
            x = sum(gaze.x for gaze in within) / len(within)
            y = sum(gaze.y for gaze in within) / len(within)
            self._away.append((x - fixation.x, y - fixation.y))
        offset = self._offset()
        if self._length(offset) <= LEAST_DEGREES:
            return fixation
        return replace(fixation, x=fixation.x + offset[0], y=fixation.y + offset[1])

    def _offset(self) -> tuple[float, float]:
        """What has to be added to centres, in fractions of the frame."""
        if len(self._away) < FEWEST_FIXATIONS:
            return 0.0, 0.0
        return median(x for x, _ in self._away), median(y for _, y in self._away)

    def _length(self, offset: tuple[float, float]) -> float:
        """In degrees, at the middle of the frame."""
        return math.hypot(offset[0] * self._degrees[0], offset[1] * self._degrees[1])

    def _notice(self) -> tuple[str, ...]:
        degrees = self._length(self._offset())
        if self._is_told or degrees <= TOLD_DEGREES:
            return ()
        self._is_told = True
        return (
            f"the tracker's fixations lay {degrees:.1f} degrees from its own gaze, as those of an "
            "app before 2.9.31 do for a wearer with an offset: they are put where the gaze is",
        )
