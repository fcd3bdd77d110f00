"""Fixations as a tracker's own detector finds them: smoothed gaze, less the motion of the scene,
under a limit that follows noise and head; causal, and a stated time behind.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from devices.clock import NANOSECONDS
from devices.samples import Blink, Fixation, FixationSource, GazeSample
from runtime.stream.local_motion import LocalMotion, local_motion
from runtime.stream.segments import FrameMark, GazeEvent, Segment, SegmentRule, reopened_at

_MILLISECOND = NANOSECONDS // 1000
LEAST = 0.07  # seconds, of Neon's own detector
AHEAD = int(12.5 * _MILLISECOND)
"""A sample is judged when one this much later is there: the third at 200 Hz, 15 ms behind."""
SLOWEST, FASTEST = 50.0, 90.0
"""Bounds of the limit on speed, degrees per second: in Neon's frames 780 and 1,400 pixels per
second, about the limit of its detector, 1,200."""
NOISE_FACTOR = 2.0
"""Times the median speed. Noise alone moves twice its median in 1 of 16 samples, and so short a gap
is closed."""
NOISE_SPAN = NANOSECONDS
FLOW_FACTOR = 0.8  # of Neon's own detector
FLOW_SPAN = int(0.205 * NANOSECONDS)  # 41 samples of Neon
GAP = int(22.5 * _MILLISECOND)
"""Fast or absent for so long, a fixation goes on: 20 ms, and half a sample for uneven times."""
GAP_DEGREES = 2.0
SPARE = 3  # samples that are kept beside a quadratic's, for uneven times
ABSENT = int(0.1 * NANOSECONDS)  # samples farther apart belong to no common quadratic


@dataclass(frozen=True, slots=True)
class _Noise:
    """Speeds of the last second, degrees per second: by time (Unix ns), and sorted."""

    by_time: tuple[tuple[int, float], ...] = ()
    ordered: tuple[float, ...] = ()

    def with_speed(self, at: int, speed: float) -> _Noise:
        ordered, expired = self.ordered, 0
        while expired < len(self.by_time) and self.by_time[expired][0] <= at - NOISE_SPAN:
            place = bisect_left(ordered, self.by_time[expired][1])
            ordered = ordered[:place] + ordered[place + 1 :]
            expired += 1
        place = bisect_left(ordered, speed)
        ordered = (*ordered[:place], speed, *ordered[place:])
        return _Noise((*self.by_time[expired:], (at, speed)), ordered)

    @property
    def limit(self) -> float:
        """What a fixation's speed stays under, by the noise alone."""
        count = len(self.ordered)
        median = (self.ordered[(count - 1) // 2] + self.ordered[count // 2]) / 2
        return min(max(NOISE_FACTOR * median, SLOWEST), FASTEST)


@dataclass(frozen=True, slots=True)
class _Flow:
    """How the scene moves, degrees per second, at moments of the recent past (Unix ns)."""

    moments: tuple[tuple[int, float, float], ...] = ()

    def with_flow(self, at: int, across: float, down: float) -> _Flow:
        recent = tuple(moment for moment in self.moments if moment[0] > at - FLOW_SPAN)
        return _Flow((*recent, (at, across, down)))

    def at(self, at: int) -> tuple[float, float, float]:
        """The newest flow (across, down), and the root mean square over the span; zeros if old."""
        recent = [moment for moment in self.moments if moment[0] > at - FLOW_SPAN]
        if not recent:
            return 0.0, 0.0, 0.0
        square = sum(across * across + down * down for _, across, down in recent) / len(recent)
        return recent[-1][1], recent[-1][2], math.sqrt(square)


class AdaptiveRule(SegmentRule):
    """Gaze that moves slowly over the scene.

    The velocity of a sample is that of a quadratic through the samples from 12.5 ms or more before
    to as many after it (seven at 200 Hz, at least three), less the newest flow of the scene. The
    limit is twice the median speed of the last second, in bounds, and 0.8 times the root mean
    square of the flow. Gaps of up to 20 ms and 2 degrees are closed; what lasts less than 70 ms
    is dropped. What is known lies `AHEAD` or a sample behind: 15 ms at 200 Hz, 33 ms at 30 Hz;
    flow is that of the newest frame, so it lies up to a frame behind. Nothing is ever revised but
    by a blink, when it becomes known. Sources: the detector that Pupil Labs publishes for Neon;
    Engbert & Kliegl 2003 (median-based limits).
    """

    source: FixationSource = "adaptive"
    least = LEAST
    follows_scene = True

    def __init__(self, field: tuple[float, float]) -> None:
        """`field`: the scene camera's field of view, across and down, in degrees."""
        super().__init__()
        self._field = field
        self._window: tuple[GazeSample, ...] = ()
        self._unjudged = 0
        self._noise = _Noise()
        self._flow = _Flow()
        self._rested: LocalMotion | None = None
        self._gap: tuple[GazeSample, ...] = ()

    def feed(self, event: GazeEvent) -> Fixation | None:
        if isinstance(event, GazeSample):
            return self._take(event)
        if isinstance(event, FrameMark):
            if event.flow is not None:
                across, down = event.flow[0] * self._field[0], event.flow[1] * self._field[1]
                self._flow = self._flow.with_flow(event.captured_at, across, down)
            return None
        if isinstance(event, Blink):
            return self._reopen(event)
        return None

    def _take(self, gaze: GazeSample) -> Fixation | None:
        if self._window and gaze.captured_at <= self._window[-1].captured_at:
            return None
        closed = None
        absence = GAP if not gaze.worn else ABSENT
        if self._absent(gaze.captured_at, absence):
            closed = self._lose()
        if not gaze.worn:
            return closed
        self._remember(gaze)
        self._window = (*self._window, gaze)
        self._unjudged += 1
        while (reach := self._reach()) is not None:
            closed = self._judge(reach) or closed
        return closed

    def _lose(self) -> Fixation | None:
        """No gaze: velocity starts anew, and a fixation ended where gaze was last judged."""
        self._window, self._unjudged = (), 0
        return self._close()

    def _close(self, ended_at: int | None = None) -> Fixation | None:
        self._gap, self._rested = (), None
        return super()._close(ended_at)

    def _reopen(self, blink: Blink) -> Fixation | None:
        opened = reopened_at(blink)
        begun = self._segment
        closed = self._blink(blink)
        if self._segment is not begun:
            self._gap = ()
        left = tuple(gaze for gaze in self._window if gaze.captured_at > opened)
        if left != self._window:
            self._window, self._unjudged = left, min(self._unjudged, len(left))
        return closed

    def _reach(self) -> int | None:
        """How many samples after the first unjudged one its quadratic takes; None to wait."""
        first = len(self._window) - self._unjudged
        if not self._unjudged:
            return None
        judged_at = self._window[first].captured_at
        for index in range(first + 1, len(self._window)):
            if self._window[index].captured_at - judged_at >= AHEAD:
                return index - first
        return None

    def _judge(self, reach: int) -> Fixation | None:
        """Judge the first unjudged sample; without samples enough before it, it is not slow."""
        window = self._window
        place = len(window) - self._unjudged
        self._unjudged -= 1
        gaze = window[place]
        self._window = window[max(0, place - reach - SPARE) :]
        if place < reach:
            return self._move(gaze)
        about = window[place - reach : place + reach + 1]
        motion = local_motion(about, reach, self._field)
        across, down, shaken = self._flow.at(about[-1].captured_at)
        speed = math.hypot(motion.across - across, motion.down - down)
        self._noise = self._noise.with_speed(gaze.captured_at, speed)
        if speed <= self._noise.limit + FLOW_FACTOR * shaken:
            return self._rest(gaze, motion)
        return self._move(gaze)

    def _rest(self, gaze: GazeSample, motion: LocalMotion) -> Fixation | None:
        """A slow sample: it prolongs the fixation, across a short gap, or begins one."""
        closed = None
        if self._gap and not self._closes_gap(gaze, motion):
            closed = self._close()
        segment = self._segment
        if segment is None:
            self._segment = Segment.begin(gaze.captured_at, gaze)
        else:
            for each in (*self._gap, gaze):
                segment = segment.extend(each.captured_at, each)
            self._segment = segment
        self._gap, self._rested = (), motion
        return closed

    def _closes_gap(self, gaze: GazeSample, motion: LocalMotion) -> bool:
        rested = self._rested
        if rested is None or gaze.captured_at - self._gap[0].captured_at > GAP:
            return False
        return math.hypot(motion.x - rested.x, motion.y - rested.y) < GAP_DEGREES

    def _move(self, gaze: GazeSample) -> Fixation | None:
        """A fast sample: a gap in the fixation, or, when it has lasted too long, its end."""
        if self._segment is None:
            return None
        self._gap = (*self._gap, gaze)
        if gaze.captured_at - self._gap[0].captured_at >= GAP:
            return self._close()
        return None
