"""What fixation rules are fed with, and what those share that grow one segment of gaze."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from devices.clock import NANOSECONDS
from devices.samples import Blink, Fixation, FixationSource, GazeSample

REMEMBERED = 2 * NANOSECONDS  # gaze that is kept, to take back what a late event says was none
LONGEST_BLINK = NANOSECONDS // 2  # eyes closed or glasses off for longer are no blink


@dataclass(frozen=True, slots=True)
class FrameMark:
    """A scene frame was captured: rules that work per frame take one gaze point now.

    `flow`: how the scene moved in the frame since the frame before, in fractions of its width and
    height per second; None where that is not known, or nobody asked.
    """

    captured_at: int
    flow: tuple[float, float] | None = None


GazeEvent = GazeSample | FrameMark | Fixation | Blink


def reopened_at(blink: Blink) -> int:
    """When the eyes opened again, Unix ns: one that doesn't say so lasts until it is known."""
    return blink.ended_at if blink.ended_at > blink.started_at else blink.captured_at


@dataclass(frozen=True, slots=True)
class Segment:
    """Gaze collected since a fixation began. Times in Unix ns; sums for the running mean."""

    first: GazeSample
    newest_at: int
    count: int
    sum_x: float
    sum_y: float

    @classmethod
    def begin(cls, at: int, gaze: GazeSample) -> Segment:
        """A segment of one sample, taken as of `at`."""
        return cls(replace(gaze, captured_at=at), at, 1, gaze.x, gaze.y)

    @classmethod
    def of(cls, samples: Sequence[GazeSample]) -> Segment | None:
        """The segment that these samples make, in order of capture; None of none."""
        if not samples:
            return None
        segment = cls.begin(samples[0].captured_at, samples[0])
        for gaze in samples[1:]:
            segment = segment.extend(gaze.captured_at, gaze)
        return segment

    def extend(self, at: int, gaze: GazeSample) -> Segment:
        """With one more sample, taken as of `at`."""
        return Segment(self.first, at, self.count + 1, self.sum_x + gaze.x, self.sum_y + gaze.y)

    def without(self, samples: Sequence[GazeSample], newest_at: int) -> Segment:
        """Less some of its samples; `newest_at`: when the newest that is left was captured."""
        if not samples or self.count <= len(samples):
            return replace(self, newest_at=min(self.newest_at, newest_at))
        return Segment(
            self.first,
            newest_at,
            self.count - len(samples),
            self.sum_x - sum(gaze.x for gaze in samples),
            self.sum_y - sum(gaze.y for gaze in samples),
        )

    def fixation(self, source: FixationSource, ended_at: int | None) -> Fixation:
        """The fixation that it is; `ended_at` None while it lasts."""
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
        """Whether its samples span that time."""
        return self.newest_at - self.first.captured_at >= round(seconds * NANOSECONDS)


class FixationRule(ABC):
    """One way to find fixations. `needs_gaze`: without fresh gaze, nothing is fixated.

    `follows_scene`: frame marks should say how the scene moved.
    """

    needs_gaze = True
    follows_scene = False

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


class SegmentRule(FixationRule):
    """Shared by the rules that grow one segment of gaze.

    `least`: seconds that a fixation lasts at least. The gaze of the last seconds is remembered, so
    that a blink which becomes known at its end takes back what was made of closed eyes.
    """

    source: FixationSource
    least: float

    def __init__(self) -> None:
        self._segment: Segment | None = None
        self._seen: tuple[GazeSample, ...] = ()

    def active(self, moment: int, min_open: float) -> tuple[Fixation, ...]:
        segment = self._segment
        if segment is None or not segment.lasts(min_open):
            return ()
        return (segment.fixation(self.source, None),)

    def flush(self) -> Fixation | None:
        return self._close()

    def _remember(self, gaze: GazeSample) -> None:
        """Keep a sample for a while; gaze after a long absence is remembered alone."""
        horizon = gaze.captured_at - REMEMBERED
        first = 0
        while first < len(self._seen) and self._seen[first].captured_at < horizon:
            first += 1
        self._seen = (*self._seen[first:], gaze)

    def _absent(self, at: int, limit: int) -> bool:
        """Whether at `at` (Unix ns) there has been no gaze for longer than `limit` (ns)."""
        return bool(self._seen) and at - self._seen[-1].captured_at > limit

    def _blink(self, blink: Blink) -> Fixation | None:
        """Eyes were closed: a fixation from before ended then, and what was seen meanwhile is none.

        A fixation that began after the blink did not end by it.
        """
        reopened = reopened_at(blink)
        before = tuple(gaze for gaze in self._seen if gaze.captured_at < blink.started_at)
        after = tuple(gaze for gaze in self._seen if gaze.captured_at > reopened)
        since = self._seen[len(before) :]
        self._seen = before + after
        segment = self._segment
        if segment is None or segment.first.captured_at > reopened:
            return None
        closed = None
        if segment.first.captured_at < blink.started_at:
            held = [gaze for gaze in since if gaze.captured_at <= segment.newest_at]
            left_at = before[-1].captured_at if before else segment.first.captured_at
            self._segment = segment.without(held, min(left_at, segment.newest_at))
            closed = self._close(min(segment.newest_at, blink.started_at))
        self._segment = Segment.of([g for g in after if g.captured_at <= segment.newest_at])
        return closed

    def _close(self, ended_at: int | None = None) -> Fixation | None:
        segment, self._segment = self._segment, None
        if segment is None:
            return None
        end = segment.newest_at if ended_at is None else ended_at
        if end - segment.first.captured_at < round(self.least * NANOSECONDS):
            return None
        return segment.fixation(self.source, end)
