"""Rules that find fixations in a stream of gaze, one event at a time and never looking ahead.

A rule is fed everything in order of capture. Its state consists of immutable values only, so that
`copy.copy` gives an independent rule: a moment can be looked at without moving the stream.
"""

from __future__ import annotations

import math
from dataclasses import replace

from devices.clock import NANOSECONDS
from devices.samples import Blink, Fixation, FixationSource, GazeSample
from runtime.stream.segments import (
    LONGEST_BLINK,
    FixationRule,
    FrameMark,
    GazeEvent,
    Segment,
    SegmentRule,
    reopened_at,
)

DISPERSION_LEAST = 2.0  # seconds a fixation lasts at least in StreamGaze's files
VELOCITY_LEAST = 0.07  # seconds, of Neon's own detector
VELOCITY_LIMIT = 1200.0  # pixels per second, of Neon's own detector
VELOCITY_SPAN = 4  # samples over which velocity is measured
GAP_LIMIT = int(0.1 * NANOSECONDS)  # without gaze for so long, a velocity fixation is over
REACH = int(0.1 * NANOSECONDS)
"""A fixation that reaches so near to the present lasts: the next message may yet prolong it."""


class DispersionRule(SegmentRule):
    """StreamGaze's rule: one gaze point per scene frame, near the first point of its segment.

    `radius`: distance in fractions of the frame. `gaze_age_limit`: seconds that a frame's gaze
    point may be older than the frame. Without gaze for longer than a blink, the segment is over.
    Source: StreamGaze (arXiv 2512.01707), its code.
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
        self._given_at: int | None = None

    def feed(self, event: GazeEvent) -> Fixation | None:
        if isinstance(event, GazeSample):
            self._newest = event
            return self._follow(event)
        if isinstance(event, FrameMark) and self._has_gaze(event.captured_at):
            return self._point(event.captured_at, self._newest)
        return None

    def _follow(self, gaze: GazeSample) -> Fixation | None:
        """Close what a long absence of gaze has ended."""
        given_at = self._given_at
        if gaze.worn:
            self._given_at = gaze.captured_at
        if given_at is not None and gaze.captured_at - given_at > LONGEST_BLINK:
            return self._close()
        return None

    def _has_gaze(self, at: int) -> bool:
        newest = self._newest
        return newest is not None and newest.worn and at - newest.captured_at <= self._age_limit

    def _point(self, at: int, gaze: GazeSample) -> Fixation | None:
        segment = self._segment
        if segment is None:
            self._segment = Segment.begin(at, gaze)
            return None
        if math.hypot(gaze.x - segment.first.x, gaze.y - segment.first.y) <= self._radius:
            self._segment = segment.extend(at, gaze)
            return None
        closed = self._close()
        self._segment = Segment.begin(at, gaze)
        return closed


class VelocityRule(SegmentRule):
    """A fixed velocity threshold at the tracker's rate.

    Velocity is measured over the last four samples, in scene pixels per second. The limit is that
    of Neon's detector, which smooths gaze first and follows the scene (`AdaptiveRule`).
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
            closed = self._blink(event)
            opened = reopened_at(event)
            self._recent = tuple(gaze for gaze in self._recent if gaze.captured_at > opened)
            return closed
        if not isinstance(event, GazeSample):
            return None
        if not event.worn:
            return self._lose()
        closed = None
        if self._recent and event.captured_at - self._recent[-1].captured_at > GAP_LIMIT:
            closed = self._lose()
        self._remember(event)
        self._recent = (*self._recent, event)[-VELOCITY_SPAN:]
        if self._speed() > self._limit:
            return self._close() or closed
        self._extend(event)
        return closed

    def _extend(self, gaze: GazeSample) -> None:
        if self._segment is not None:
            self._segment = self._segment.extend(gaze.captured_at, gaze)
        elif len(self._recent) == VELOCITY_SPAN:
            self._segment = Segment.begin(gaze.captured_at, gaze)

    def _lose(self) -> Fixation | None:
        """No gaze: velocity starts anew, and a fixation ended when the eyes closed."""
        self._recent = ()
        return self._close()

    def _speed(self) -> float:
        first, last = self._recent[0], self._recent[-1]
        elapsed = (last.captured_at - first.captured_at) / NANOSECONDS
        if elapsed <= 0:
            return 0.0
        across = (last.x - first.x) * self._width
        down = (last.y - first.y) * self._height
        return math.hypot(across, down) / elapsed


class DeviceRule(SegmentRule):
    """The tracker's own events, of either kind that trackers send.

    Onsets and ends (Neon): a fixation is open from its onset to its end, and its centre so far is
    the mean of its gaze. Growing fixations without an onset (Core): each message prolongs the one
    that it overlaps, and gives its centre; one that reaches the present is open. Every event
    belongs to the time it speaks of, however late it is known.
    """

    source: FixationSource = "device"
    least = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._growing: Fixation | None = None

    def feed(self, event: GazeEvent) -> Fixation | None:
        if isinstance(event, Fixation):
            if event.started_at > event.captured_at:
                return None  # nothing is known of the future
            return self._onset(event) if event.ended_at is None else self._end(event)
        expired = self._expire(event.captured_at)
        if isinstance(event, GazeSample):
            return self._gaze(event) or expired
        if isinstance(event, Blink):
            return self._blink(event) or expired
        return expired

    def active(self, moment: int, min_open: float) -> tuple[Fixation, ...]:
        growing = self._growing
        if growing is None or self._segment is not None:
            return super().active(moment, min_open)
        assert growing.ended_at is not None
        lasted = growing.ended_at - growing.started_at
        if moment - growing.ended_at > REACH or lasted < round(min_open * NANOSECONDS):
            return ()
        return (replace(growing, ended_at=None),)

    def flush(self) -> Fixation | None:
        return self._close() or self._expire(None)

    def _gaze(self, gaze: GazeSample) -> Fixation | None:
        closed = self._close() if self._absent(gaze.captured_at, LONGEST_BLINK) else None
        if not gaze.worn:
            return closed
        self._remember(gaze)
        segment = self._segment
        if segment is None:
            return closed
        if gaze.captured_at == segment.first.captured_at:  # what the onset said, over two streams
            self._segment = Segment.begin(gaze.captured_at, gaze)
        elif gaze.captured_at > segment.newest_at:
            self._segment = segment.extend(gaze.captured_at, gaze)
        return closed

    def _onset(self, event: Fixation) -> Fixation | None:
        """A fixation began: its centre is that of its gaze, and until there is some, as told."""
        segment = self._segment
        if segment is not None and event.started_at <= segment.first.captured_at:
            return None
        closed = self._close(event.started_at)
        told = GazeSample(event.started_at, event.arrived_at, event.x, event.y)
        held = [gaze for gaze in self._seen if gaze.captured_at >= event.started_at]
        if held:
            held[0] = replace(held[0], captured_at=event.started_at)
        self._segment = Segment.of(held or [told])
        return closed

    def _end(self, event: Fixation) -> Fixation | None:
        """A fixation that is over, or was over when the tracker last looked."""
        assert event.ended_at is not None
        segment = self._segment
        if segment is not None:
            if event.ended_at > segment.first.captured_at:
                self._segment = None
            return event
        known = self._growing
        if known is not None and known.ended_at is not None and event.started_at <= known.ended_at:
            started_at = min(known.started_at, event.started_at)
            if event.ended_at >= known.ended_at:
                self._growing = replace(event, started_at=started_at)
            return None
        self._growing = event
        return known

    def _blink(self, blink: Blink) -> Fixation | None:
        """What began before the eyes closed ended then; the tracker says itself what came after."""
        segment, growing = self._segment, self._growing
        if growing is not None and growing.started_at < blink.started_at:
            self._growing = None
            return growing
        if segment is None or segment.first.captured_at >= blink.started_at:
            return None
        closed = super()._blink(blink)
        self._segment = None
        return closed

    def _expire(self, at: int | None) -> Fixation | None:
        """Close a growing fixation that no message has prolonged by `at` (Unix ns)."""
        growing = self._growing
        if growing is None or growing.ended_at is None:
            return None
        if at is not None and at - growing.ended_at <= REACH:
            return None
        self._growing = None
        return growing


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

    def feed(self, event: GazeEvent) -> Fixation | None:
        return None

    def active(self, moment: int, min_open: float) -> tuple[Fixation, ...]:
        return ()
