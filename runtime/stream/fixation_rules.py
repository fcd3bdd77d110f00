"""Rules that find fixations in a stream of gaze, one event at a time and never looking ahead.

A rule is fed everything in order of capture. Its state consists of immutable values only, so that
`copy.copy` gives an independent rule: a moment can be looked at without moving the stream.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from devices.clock import NANOSECONDS
from devices.samples import Blink, Fixation, FixationSource, GazeSample

DISPERSION_LEAST = 2.0  # seconds a fixation lasts at least in StreamGaze's files
VELOCITY_LEAST = 0.07  # seconds, of Neon's own detector
VELOCITY_LIMIT = 1200.0  # pixels per second, of Neon's own detector
VELOCITY_SPAN = 4  # samples over which velocity is measured
GAP_LIMIT = int(0.1 * NANOSECONDS)  # without gaze for so long, a velocity fixation is over


@dataclass(frozen=True, slots=True)
class FrameMark:
    """A scene frame was captured: rules that work per frame take one gaze point now."""

    captured_at: int


GazeEvent = GazeSample | FrameMark | Fixation | Blink


@dataclass(frozen=True, slots=True)
class _Segment:
    """Gaze collected since a fixation began. Times in Unix ns; sums for the running mean."""

    first: GazeSample
    newest_at: int
    count: int
    sum_x: float
    sum_y: float

    @classmethod
    def begin(cls, at: int, gaze: GazeSample) -> _Segment:
        return cls(replace(gaze, captured_at=at), at, 1, gaze.x, gaze.y)

    def extend(self, at: int, gaze: GazeSample) -> _Segment:
        return _Segment(self.first, at, self.count + 1, self.sum_x + gaze.x, self.sum_y + gaze.y)

    def fixation(self, source: FixationSource, ended_at: int | None) -> Fixation:
        return Fixation(
            captured_at=self.newest_at,
            arrived_at=self.newest_at,
            x=self.sum_x / self.count,
            y=self.sum_y / self.count,
            started_at=self.first.captured_at,
            ended_at=ended_at,
            source=source,
        )

    def lasts(self, seconds: float) -> bool:
        return self.newest_at - self.first.captured_at >= round(seconds * NANOSECONDS)


class FixationRule(ABC):
    """One way to find fixations. `needs_gaze`: without fresh gaze, nothing is fixated."""

    needs_gaze = True

    @abstractmethod
    def feed(self, event: GazeEvent) -> Fixation | None:
        """Take the next event; returns the fixation that it closes, if one is kept."""

    @abstractmethod
    def active(self, moment: int, min_open: float) -> tuple[Fixation, ...]:
        """Fixations begun at or before `moment` (Unix ns) and not ended before it.

        One that is still open counts once it has lasted `min_open` seconds.
        """

    def flush(self) -> Fixation | None:
        """The stream has ended: close what is open."""
        return None


class _SegmentRule(FixationRule):
    """Shared by the rules that grow one segment of gaze."""

    source: FixationSource
    least: float

    def __init__(self) -> None:
        self._segment: _Segment | None = None

    def active(self, moment: int, min_open: float) -> tuple[Fixation, ...]:
        segment = self._segment
        if segment is None or not segment.lasts(min_open):
            return ()
        return (segment.fixation(self.source, None),)

    def flush(self) -> Fixation | None:
        return self._close()

    def _close(self, ended_at: int | None = None) -> Fixation | None:
        segment, self._segment = self._segment, None
        if segment is None:
            return None
        end = segment.newest_at if ended_at is None else ended_at
        if end - segment.first.captured_at < round(self.least * NANOSECONDS):
            return None
        return segment.fixation(self.source, end)


class DispersionRule(_SegmentRule):
    """StreamGaze's rule: one gaze point per scene frame, near the first point of its segment.

    `radius`: distance in fractions of the frame. `gaze_age_limit`: seconds that a frame's gaze
    point may be older than the frame. Source: StreamGaze (arXiv 2512.01707), its code.
    """

    source: FixationSource = "dispersion"

    def __init__(
        self, radius: float, gaze_age_limit: float, least: float = DISPERSION_LEAST
    ) -> None:
        super().__init__()
        self.least = least
        self._radius = radius
        self._age_limit = round(gaze_age_limit * NANOSECONDS)
        self._newest: GazeSample | None = None

    def feed(self, event: GazeEvent) -> Fixation | None:
        if isinstance(event, GazeSample):
            self._newest = event
        elif isinstance(event, FrameMark) and self._has_gaze(event.captured_at):
            return self._point(event.captured_at, self._newest)
        return None

    def _has_gaze(self, at: int) -> bool:
        newest = self._newest
        return newest is not None and newest.worn and at - newest.captured_at <= self._age_limit

    def _point(self, at: int, gaze: GazeSample) -> Fixation | None:
        segment = self._segment
        if segment is None:
            self._segment = _Segment.begin(at, gaze)
            return None
        if math.hypot(gaze.x - segment.first.x, gaze.y - segment.first.y) <= self._radius:
            self._segment = segment.extend(at, gaze)
            return None
        closed = self._close()
        self._segment = _Segment.begin(at, gaze)
        return closed


class VelocityRule(_SegmentRule):
    """A velocity threshold at the tracker's rate, as Neon's detector has it, without optic flow.

    Velocity is measured over the last four samples, in scene pixels per second.
    """

    source: FixationSource = "velocity"
    least = VELOCITY_LEAST

    def __init__(self, frame_width: int, frame_height: int, limit: float = VELOCITY_LIMIT) -> None:
        super().__init__()
        self._width, self._height = frame_width, frame_height
        self._limit = limit
        self._recent: tuple[GazeSample, ...] = ()

    def feed(self, event: GazeEvent) -> Fixation | None:
        if isinstance(event, Blink):
            return self._lose(event.started_at)
        if not isinstance(event, GazeSample):
            return None
        if not event.worn:
            return self._lose(None)
        closed = None
        if self._recent and event.captured_at - self._recent[-1].captured_at > GAP_LIMIT:
            closed = self._lose(None)
        self._recent = (*self._recent, event)[-VELOCITY_SPAN:]
        if self._speed() > self._limit:
            return self._close() or closed
        self._extend(event)
        return closed

    def _extend(self, gaze: GazeSample) -> None:
        if self._segment is not None:
            self._segment = self._segment.extend(gaze.captured_at, gaze)
        elif len(self._recent) == VELOCITY_SPAN:
            self._segment = _Segment.begin(gaze.captured_at, gaze)

    def _lose(self, ended_at: int | None) -> Fixation | None:
        """No gaze: velocity starts anew, and a fixation ended when the eyes closed."""
        self._recent = ()
        return self._close(ended_at)

    def _speed(self) -> float:
        first, last = self._recent[0], self._recent[-1]
        elapsed = (last.captured_at - first.captured_at) / NANOSECONDS
        if elapsed <= 0:
            return 0.0
        across = (last.x - first.x) * self._width
        down = (last.y - first.y) * self._height
        return math.hypot(across, down) / elapsed


class DeviceRule(_SegmentRule):
    """The tracker's own events: onsets and ends; the centre so far is the mean of its gaze."""

    source: FixationSource = "device"
    least = 0.0

    def feed(self, event: GazeEvent) -> Fixation | None:
        if isinstance(event, GazeSample):
            if self._segment is not None and event.worn:
                self._segment = self._segment.extend(event.captured_at, event)
            return None
        if isinstance(event, Blink):
            return self._close(event.started_at)
        if not isinstance(event, Fixation):
            return None
        if event.ended_at is not None:
            self._segment = None
            return event
        closed = self._close(event.started_at)
        start = GazeSample(event.started_at, event.arrived_at, event.x, event.y)
        self._segment = _Segment.begin(event.started_at, start)
        return closed


class FileRule(FixationRule):
    """Fixations known beforehand from a file, each with its centre as a whole."""

    needs_gaze = False

    def __init__(self) -> None:
        self._known: tuple[Fixation, ...] = ()

    def feed(self, event: GazeEvent) -> Fixation | None:
        if not isinstance(event, Fixation):
            return None
        self._known = (*self._known, event)
        return event

    def active(self, moment: int, min_open: float) -> tuple[Fixation, ...]:
        return tuple(
            fixation
            for fixation in self._known
            if fixation.started_at <= moment
            and (fixation.ended_at is None or fixation.ended_at >= moment)
        )


class NoFixations(FixationRule):
    """Gaze is switched off: nothing is ever fixated."""

    needs_gaze = False

    needs_gaze = False

    def feed(self, event: GazeEvent) -> Fixation | None:
        return None

    def active(self, moment: int, min_open: float) -> tuple[Fixation, ...]:
        return ()
