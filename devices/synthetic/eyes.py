"""Gaze as eyes make it: dwells on things, fixations within them, saccades, blinks, tracker noise.

Everything is on the tracker's 200 Hz grid, in seconds from the start. Within a dwell the eyes stay
on one thing while the head sways, so that gaze drifts in the frame; small saccades move it about
on the thing. A blink breaks a fixation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.synthetic.head import HeadMotion
from devices.synthetic.scene import MARGIN, SEPARATION, Scene

GAZE_RATE = 200  # Hz
DWELL = (2.1, 4.2)  # seconds
FIXATION = (0.3, 1.6)  # seconds between small saccades within a dwell
FIELD_OF_VIEW = 60.0  # degrees across the frame, for the length of a saccade
BLINK_EVERY = 5.0  # seconds, on average
BLINK = (0.1, 0.25)
ELSEWHERE = 0.1  # share of dwells on the bare table
NO_SEGMENT = -1


@dataclass(frozen=True, slots=True)
class Dwell:
    """Looking at one thing (its place in the scene, None for the bare table), saccade excluded."""

    start: float
    end: float
    thing: int | None
    x: float
    y: float


@dataclass(frozen=True, slots=True, eq=False)
class GazeTrack:
    """Samples at `GAZE_RATE`: gaze in fractions of the frame, noise included.

    `open`: False while the eyes are closed. `segment` numbers what a velocity threshold finds: gaze
    between large saccades and blinks, `NO_SEGMENT` during those; `fixation` also breaks at small
    saccades. `first`: the tick of the first sample, 0 at second 0, later where the rest is
    forgotten.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    open: NDArray[np.bool_]
    segment: NDArray[np.int64]
    fixation: NDArray[np.int64]
    first: int = 0

    def since(self, tick: int) -> GazeTrack:
        """The samples from a tick on, in memory of their own."""
        kept = (getattr(self, name)[tick - self.first :].copy() for name in ARRAYS)
        return GazeTrack(*kept, first=tick)


# No dwell is longer. Its truth values are drawn in so much room: of arrays that take less than that
# NumPy keeps some of every size for good, and dwells have all lengths.
ROOM = np.arange(1024)
ROUNDING = 1e-6  # of a tick, that a moment in seconds may lie before the tick that is meant
ARRAYS = ("x", "y", "open", "segment", "fixation")


class Eyes:
    """The gaze of one wearer, drawn as far as it is asked for and kept until it is forgotten."""

    def __init__(self, random: np.random.Generator, scene: Scene, head: HeadMotion) -> None:
        self._random = random
        self._scene = scene
        self._head = head
        self.dwells: list[Dwell] = []
        self._pieces: list[GazeTrack] = []
        self._ticks = 0
        self._count = 0
        self._bias = random.normal(0.0, 0.006, 2)
        self._deviation = float(random.uniform(0.001, 0.004))
        self._place = np.array([0.5, 0.5])
        self._track: GazeTrack | None = None

    def track(self, until: float) -> GazeTrack:
        """All samples that are kept, to at least `until` seconds."""
        last = int(until * GAZE_RATE + ROUNDING)
        while self._ticks <= last:
            self._dwell()
            self._track = None
        if self._track is None:
            self._track = _joined(self._pieces)
            self._pieces = [self._track]
        return self._track

    def forget(self, before: float) -> None:
        """No moment before so many seconds will be asked for any more.

        What was drawn of them goes once it is half of all, so that this costs next to nothing.
        """
        track, tick = self._track, int(before * GAZE_RATE)
        if track is None or 2 * (tick - track.first) < track.x.size:
            return
        self._track = track.since(tick)
        self._pieces = [self._track]
        self.dwells = [each for each in self.dwells if each.end >= before]

    def dwell_at(self, seconds: float) -> Dwell | None:
        """What is looked at; None during a saccade from thing to thing."""
        self.track(seconds)
        return next((each for each in self.dwells if each.start <= seconds <= each.end), None)

    def _dwell(self) -> None:
        """Go on to the next thing: a saccade, then fixations and blinks."""
        thing, target = self._target(self._ticks / GAZE_RATE)
        away = float(np.hypot(*(target - self._place)))
        saccade = round((0.021 + 0.0022 * FIELD_OF_VIEW * away) * GAZE_RATE)
        staying = round(self._random.uniform(*DWELL) * GAZE_RATE)
        count = saccade + staying
        wander, shifts = self._wander(saccade, count, 0.1 * SEPARATION)
        way = np.clip(np.arange(count) / saccade, 0, 1)
        way = way * way * (3 - 2 * way)
        on_table = self._place[:, None] + way * (target + wander - self._place).T
        seconds = (self._ticks + np.arange(count)) / GAZE_RATE
        seen = self._head.seen(on_table, seconds) + self._bias[:, None]
        seen += self._random.normal(0, self._deviation, seen.shape)
        opened = self._blinks(saccade, count)
        broken = np.cumsum(~opened)[:count]
        moving = ((saccade > ROOM) | ~opened)[:count]
        segment = np.where(moving, NO_SEGMENT, self._count + broken)
        fixation = np.where(moving, NO_SEGMENT, self._count + broken + shifts)
        self._count += int(broken[-1] + shifts[-1]) + 1
        self._pieces.append(GazeTrack(seen[0], seen[1], opened[:count], segment, fixation))
        self._ticks += count
        start, end = float(seconds[saccade]), float(seconds[-1])
        self.dwells.append(Dwell(start, end, thing, float(target[0]), float(target[1])))
        self._place = on_table[:, -1]

    def _target(self, seconds: float) -> tuple[int | None, NDArray[np.float64]]:
        """Another thing that is there, each as likely, or a bare spot of the table."""
        things = self._scene.things
        last = self.dwells[-1].thing if self.dwells else None
        present = [place for place in self._scene.present(seconds) if place != last]
        if self._random.random() < ELSEWHERE and (spot := self._bare_spot()) is not None:
            return None, spot
        chosen = int(self._random.choice(present))
        return chosen, np.array([things[chosen].x, things[chosen].y])

    def _bare_spot(self) -> NDArray[np.float64] | None:
        for _ in range(20):
            spot = self._random.uniform(MARGIN / 2, 1 - MARGIN / 2, 2)
            gaps = [np.hypot(*(spot - (each.x, each.y))) for each in self._scene.things]
            if min(gaps) > 0.75 * SEPARATION and np.hypot(*(spot - self._place)) > SEPARATION / 2:
                return spot
        return None

    def _wander(self, first: int, count: int, reach: float) -> tuple[NDArray, NDArray[np.int64]]:
        """Where on the thing the eyes are, (count, 2), and how many small saccades there were."""
        offsets = np.empty((count, 2))
        shifts = np.zeros(count, np.int64)
        begin, number = 0, 0
        while begin < count:
            length = round(self._random.uniform(*FIXATION) * GAZE_RATE) + (
                first if not begin else 0
            )
            offsets[begin : begin + length] = self._random.normal(0, reach / 2, 2).clip(
                -reach, reach
            )
            shifts[begin : begin + length] = number
            begin, number = begin + length, number + 1
        return offsets, shifts

    def _blinks(self, first: int, count: int) -> NDArray[np.bool_]:
        """Whether the eyes are open, at the ticks of `ROOM`: never closed in the first and the last
        0.3 s of a dwell of `count`."""
        opened = np.ones(ROOM.size, np.bool_)
        room = round(0.3 * GAZE_RATE)
        length = round(self._random.uniform(*BLINK) * GAZE_RATE)
        if self._random.random() < (count - first) / GAZE_RATE / BLINK_EVERY:
            begin = int(self._random.integers(first + room, count - room - length))
            opened[begin : begin + length] = False
        return opened


def active_centre(
    track: GazeTrack, seconds: float, min_open: float, fine: bool
) -> tuple[float, float] | None:
    """The centre so far of the fixation that is open at a moment, if it has lasted `min_open`.

    `fine`: fixations break at small saccades too. This is what a fixation rule that never looks
    ahead knows at that moment.
    """
    newest = int(np.floor(seconds * GAZE_RATE + 1e-6)) - track.first
    numbers = track.fixation if fine else track.segment
    if numbers[newest] == NO_SEGMENT:
        return None
    others = np.append(numbers[newest::-1] != numbers[newest], True)
    first = newest + 1 - int(others.argmax())
    if newest - first < min_open * GAZE_RATE:
        return None
    span = slice(first, newest + 1)
    return float(track.x[span].mean()), float(track.y[span].mean())


def _joined(pieces: list[GazeTrack]) -> GazeTrack:
    joined = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ARRAYS)
    return GazeTrack(*joined, first=pieces[0].first)
