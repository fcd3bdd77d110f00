"""Temporal steps: what a step is made of, when steps fall, and which ones are decided.

A step is a pure function of what was captured up to its own time and is never revised. Steps belong
to the stream: they fall every `2 / rate` seconds of capture time from its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from devices.clock import NANOSECONDS
from devices.device import Delivery
from devices.samples import Blink, Fixation, GazeSample, SceneFrame
from runtime.engines.tensors import Tensor
from runtime.stream.frame_timeline import FramePair, FrameTimeline
from runtime.stream.gaze_timeline import GazeTimeline, GazeView
from runtime.stream.sampling import FRAMES_PER_STEP
from runtime.stream.segments import FrameMark

if TYPE_CHECKING:
    from runtime.stream.scene_motion import SceneMotion

PATIENCE = int(0.5 * NANOSECONDS)
MOST_DUE = 2000  # steps that may fall due at once: those of an hour of silence


@dataclass(frozen=True, slots=True, eq=False)
class StepPlan:
    """A step decided but not encoded. `number` counts from the stream's start; None for a tail.

    `time` (Unix ns) is the moment whose gaze it carries: its newer frame's capture time, or the
    moment of the question for a tail step.
    """

    number: int | None
    time: int
    pair: FramePair
    gaze: GazeView


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """An encoded step: `visual` (H*W, D), `residuals` (injected, H*W, D) or None with gaze off."""

    plan: StepPlan
    visual: Tensor
    residuals: Tensor | None


@dataclass(frozen=True, slots=True)
class StepFact:
    """What a record says of a step in a context. Times in Unix ns."""

    frames: tuple[int, int]
    time: int
    fixations: tuple[Fixation, ...]
    gaze_at: int | None

    @classmethod
    def of(cls, plan: StepPlan) -> StepFact:
        """The facts of a step's plan."""
        return cls(plan.pair.key, plan.time, plan.gaze.fixations, plan.gaze.gaze_at)

    def shows(self, plan: StepPlan) -> bool:
        """Whether `plan` would show the model the same frames and the same fixations."""
        return self.frames == plan.pair.key and self.fixations == plan.gaze.fixations


class StepPlanner:
    """Turns what devices deliver into steps, in the order of capture."""

    def __init__(
        self, frames: FrameTimeline, gaze: GazeTimeline, rate: float, start: int | None = None
    ) -> None:
        """`rate`: frames per second that the model samples.

        `start` (Unix ns): when the first step falls; None for the stream's first frame.
        """
        self._frames = frames
        self._gaze = gaze
        self._interval = FRAMES_PER_STEP / rate
        self._start = start
        self._next = 0
        self._frames_until = 0
        self._gaze_until = 0
        self._motion = scene_motion(gaze.follows_scene)

    @property
    def start(self) -> int | None:
        """When the first step falls, Unix ns; None before the first frame if that decides it."""
        return self._start

    @property
    def interval(self) -> int:
        """Nanoseconds from step to step."""
        return round(self._interval * NANOSECONDS)

    @property
    def known_until(self) -> int:
        """Up to this moment (Unix ns) nothing is still to come: what is decided of it is final.

        So everything that rests on no later moment is the same however samples were delivered.
        """
        if not self._gaze.is_awaited:
            return self._frames_until
        return min(self._frames_until, self._gaze_until)

    def receive(self, delivery: Delivery, now: int) -> None:
        """Take in what a device delivered at `now` (Unix ns).

        A stream that has been silent for PATIENCE is not waited for.
        """
        for sample in delivery.samples:
            if isinstance(sample, SceneFrame):
                self._start = sample.captured_at if self._start is None else self._start
                self._gaze.add(self._marked(sample))
            elif isinstance(sample, GazeSample | Fixation | Blink):
                self._gaze.add(sample)
        silent_until = now - PATIENCE
        self._frames_until = max(self._frames_until, delivery.frames_until, silent_until)
        self._gaze_until = max(self._gaze_until, delivery.gaze_until, silent_until)

    def _marked(self, frame: SceneFrame) -> FrameMark:
        """Keep a frame; what gaze has to know of it. Flow is that of what the model sees."""
        pixels, at = self._frames.add(frame), frame.captured_at
        return FrameMark(at, self._motion.follow(pixels, at) if self._motion else None)

    def due(self, until: int) -> list[StepPlan]:
        """The steps that fall at or before `until` (Unix ns) and that nothing can change any more.

        Afterwards no moment before the last frame by `until` may be asked for.
        """
        plans = []
        self._skip_silence(until)
        while self.has_due(until):
            pair = self._frames.pair(self._due_time())
            if pair is None or not self._is_decided():
                break
            view = self._gaze.view(pair.newer_at)
            plans.append(StepPlan(self._next, pair.newer_at, pair, view))
            self._next += 1
        self._forget(until)
        return plans

    def has_due(self, until: int) -> bool:
        """Whether a step falls at or before `until` (Unix ns) that `due` has not told yet."""
        return self._start is not None and self._due_time() <= until

    def tail(self, moment: int) -> StepPlan | None:
        """The newest pair captured by `moment` (Unix ns) with the fixations active at it."""
        pair = self._frames.pair(moment)
        if pair is None:
            return None
        return StepPlan(None, moment, pair, self._gaze.view(moment))

    def fixated(self, moment: int) -> tuple[Fixation, ...]:
        """The fixations active at `moment` (Unix ns), of which everything has to be known."""
        return self._gaze.view(moment).fixations

    def confirmed(self, until: int) -> list[int]:
        """The moments up to `until` (Unix ns) at which a fixation came to count, each told once."""
        return self._gaze.confirmed(until)

    def _is_decided(self) -> bool:
        """Whether nothing that is still to come can change the next step."""
        due = self._due_time()
        pair = self._frames.pair(due)
        gaze_until = self._gaze_until if self._gaze.is_awaited else self._frames_until
        return due <= self._frames_until and pair is not None and pair.newer_at <= gaze_until

    def _skip_silence(self, until: int) -> None:
        """Leave out steps of a silence beyond any window: they would all show the same.

        So a clock that jumps by years costs a second, not the memory of all the steps in between.
        """
        if self._start is not None:
            fallen = int((until - self._start) / NANOSECONDS / self._interval)
            self._next = max(self._next, fallen - MOST_DUE)

    def _due_time(self) -> int:
        assert self._start is not None
        return self._start + round(self._next * self._interval * NANOSECONDS)

    def _forget(self, until: int) -> None:
        if self._start is None:
            return
        pair = self._frames.pair(min(until, self._due_time()))
        if pair is not None:
            self._gaze.settle(pair.newer_at)
            self._frames.forget(pair.newer_at)


def scene_motion(wanted: bool) -> SceneMotion | None:
    """What follows the scene's motion, where that is wanted: importing OpenCV takes a while."""
    if not wanted:
        return None
    from runtime.stream.scene_motion import SceneMotion

    return SceneMotion()
