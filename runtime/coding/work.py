"""The fixations of a recording that are to be coded, and the frame that each is decided on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.samples import Fixation

NO_FRAME = NANOSECONDS // 2  # the scene camera stalled for longer: what was seen is not known
OUTSIDE = "outside the video"
STALLED = "no frame at that time"
BEYOND = "centre outside the frame"


@dataclass(frozen=True, slots=True)
class FixationRow:
    """One fixation. `number`: its row in the table that it stands in, from 0. Times in Unix ns.

    `x`, `y`: its centre in fractions of the frame. `name`, `section`, `recording`: what the
    tracker's maker calls it, its section and its recording; empty where he does not.
    """

    number: int
    name: str
    started_at: int
    ended_at: int
    x: float
    y: float
    section: str = ""
    recording: str = ""

    @property
    def middle(self) -> int:
        """The moment at which it is looked at, Unix ns."""
        return (self.started_at + self.ended_at) // 2

    def fixation(self) -> Fixation:
        """As the model is told: known as a whole."""
        start = self.started_at
        return Fixation(start, start, self.x, self.y, start, self.ended_at, "file", whole=True)


@dataclass(frozen=True, slots=True)
class Glance:
    """Fixations that share one pair of frames, by their indices in the video."""

    older: int
    newer: int
    rows: tuple[FixationRow, ...]


def trouble_of(row: FixationRow, frame_times: NDArray[np.int64]) -> str | None:
    """Why a fixation can't be looked at; None where it can."""
    frame = _newest_by(frame_times, row.middle)
    if frame < 0 or row.middle > int(frame_times[-1]) + NO_FRAME:
        return OUTSIDE
    if row.middle - int(frame_times[frame]) > NO_FRAME:
        return STALLED
    if not (0 <= row.x <= 1 and 0 <= row.y <= 1):
        return BEYOND
    return None


def glances(
    rows: Sequence[FixationRow], frame_times: NDArray[np.int64], interval: int, share: int
) -> Iterator[Glance]:
    """Which frames each fixation is decided on, in order of time.

    The newest frame by the fixation's middle, and the newest one `interval` (ns) before that.
    Those whose middle lies within `share` (ns) after the middle of one before take its frames.
    """
    sound = [row for row in rows if trouble_of(row, frame_times) is None]
    together: list[FixationRow] = []
    for row in sorted(sound, key=lambda each: (each.middle, each.number)):
        if together and row.middle - together[0].middle > share:
            yield _glance(together, frame_times, interval)
            together = []
        together.append(row)
    if together:
        yield _glance(together, frame_times, interval)


def _glance(rows: Sequence[FixationRow], frame_times: NDArray[np.int64], interval: int) -> Glance:
    newer = _newest_by(frame_times, rows[0].middle)
    older = max(_newest_by(frame_times, int(frame_times[newer]) - interval), -1)
    return Glance(newer if older < 0 else older, newer, tuple(rows))


def _newest_by(times: NDArray[np.int64], moment: int) -> int:
    return int(np.searchsorted(times, moment, side="right")) - 1
