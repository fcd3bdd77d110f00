"""When things were captured and when they were done, and how late that makes everything due.

Every sample has a moment at which it is due, whatever became of it. A time is dated from there, so
that a stall counts against each sample that had to wait for its end, not once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from devices.clock import NANOSECONDS, Clock
from runtime.answers.listeners import News, Seen
from runtime.answers.record import AnswerRecord
from runtime.answers.watcher import Watcher
from runtime.model.models import Models
from runtime.stopwatch import Stopwatch
from runtime.stream.steps import Step

MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Encoded:
    """At `at` (Unix ns) there were residuals of frames up to `frame_at`."""

    at: int
    frame_at: int


@dataclass(frozen=True, slots=True)
class Injected:
    """At `at` (Unix ns) a step was in every context: of this frame, with gaze up to `gaze_at`."""

    at: int
    frame_at: int
    gaze_at: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """At `at` (Unix ns) the first token of an answer was known, asked at `asked_at`."""

    at: int
    asked_at: int
    frame_at: int


@dataclass(slots=True)
class Moments:
    """What happened in a run; several threads note it. `clock`: the run's."""

    clock: Clock
    encoded: list[Encoded] = field(default_factory=list)
    injected: list[Injected] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def hear(self, news: News) -> None:
        """A listener: residuals and answers, when they are told. An answer is one token here."""
        at = self.clock.now()
        with self._lock:
            if isinstance(news, Seen) and news.step.residuals is not None:
                self.encoded.append(Encoded(at, news.step.plan.pair.newer_at))
            elif isinstance(news, AnswerRecord) and news.answer and news.frame_at is not None:
                self.told.append(Told(at, news.asked_at, news.frame_at))

    def inject(self, step: Step) -> None:
        """A step is in every context."""
        plan, at = step.plan, self.clock.now()
        with self._lock:
            self.injected.append(Injected(at, plan.pair.newer_at, plan.gaze.gaze_at))


class NotedWatcher(Watcher):
    """A watcher that notes when a step is in its contexts."""

    def __init__(
        self, moments: Moments, models: Models, grid: tuple[int, int], window: int
    ) -> None:
        super().__init__(models, grid, window)
        self._moments = moments

    def append(self, step: Step, watch: Stopwatch) -> None:
        """See `Watcher`."""
        super().append(step, watch)
        self._moments.inject(step)


def capture_to_residual(
    frames: Sequence[int], encoded: Sequence[Encoded], ended_at: int
) -> list[float]:
    """Of every frame (Unix ns, in order), ms until there were residuals of it or of a newer one.

    A frame that newer ones overtook waited for them. What had none when the run ended (Unix ns)
    has waited until then at least.
    """
    known = sorted(encoded, key=lambda each: each.at)
    waited, place = [], 0
    for frame in frames:
        while place < len(known) and known[place].frame_at < frame:
            place += 1
        done = known[place].at if place < len(known) else ended_at
        waited.append((done - frame) / MILLISECOND)
    return waited


def ages_at_injection(injected: Sequence[Injected]) -> tuple[list[float], list[float]]:
    """Milliseconds: how old each step's frame was when it was in, and how old its gaze."""
    frames = [(each.at - each.frame_at) / MILLISECOND for each in injected]
    gaze = [(each.at - each.gaze_at) / MILLISECOND for each in injected if each.gaze_at is not None]
    return frames, gaze


def due_frames(start: int, end: int, rate: int) -> list[int]:
    """When frames were due (Unix ns), from `start` until `end`."""
    count = (end - start) * rate // NANOSECONDS
    return [start + index * NANOSECONDS // rate for index in range(count)]
