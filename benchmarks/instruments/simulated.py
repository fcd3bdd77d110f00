"""A stream and a model that cost next to nothing, so that hours of the live loop run in minutes."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS, Clock, SimulatedClock
from devices.device import Delivery, Device, DeviceCounts, DeviceInfo, StreamCounts
from devices.samples import Blink, GazeSample, Sample, SceneFrame
from runtime.bundle.opening import Bundle
from runtime.errors import QuestionError
from runtime.model.context import Context, Mark
from runtime.model.models import Models, Scene

START = 1_700_000_000 * NANOSECONDS
FRAME_RATE, GAZE_RATE = 30, 200  # Hz
WIDTH, HEIGHT = 160, 120
PICTURES = 16  # different frames, shown in turn
LOST_EVERY = 97  # the transport loses one sample of so many
STALL_EVERY, STALL = 300, 2  # seconds: how often, and how long, frames and then gaze fall silent
BLINK_EVERY, BLINK = 5 * NANOSECONDS, 200_000_000
LOOK_EVERY = 700_000_000  # ns from one place looked at to the next
LOST = "lost on the way"


class SimulatedStream(Device):
    """Frames at 30 Hz and gaze at 200 Hz for a given time, whether or not anybody keeps up."""

    def __init__(
        self,
        seconds: float,
        clock: Clock | None = None,
        size: tuple[int, int] = (WIDTH, HEIGHT),
        faults: bool = True,
    ) -> None:
        """`clock`: begins at START; a simulated one by default. `size`: width and height.

        `faults`: whether samples are lost, eyes close and streams stall.
        """
        super().__init__()
        self.clock = clock or SimulatedClock(START)
        self._size, self._faults = size, faults
        self._end = START + round(seconds * NANOSECONDS)
        random = np.random.default_rng(0)
        self._pictures = random.integers(0, 256, (PICTURES, *size[::-1], 3), np.uint8)
        self._places = random.uniform(0.1, 0.9, (64, 2)).tolist()
        self._next = {FRAME_RATE: 0, GAZE_RATE: 0}
        self._delivered: Counter[int] = Counter()
        self._lost: Counter[int] = Counter()

    def connect(self) -> DeviceInfo:
        return DeviceInfo("simulated stream", *self._size, FRAME_RATE, GAZE_RATE, START, self._end)

    def disconnect(self) -> None:
        pass

    def counts(self) -> DeviceCounts:
        return DeviceCounts(self._count(FRAME_RATE), self._count(GAZE_RATE))

    def _count(self, rate: int) -> StreamCounts:
        lost, delivered = self._lost[rate], self._delivered[rate]
        return StreamCounts(lost + delivered, delivered, Counter({LOST: lost} if lost else {}))

    def _collect(self) -> Delivery:
        now = min(self.clock.now(), self._end)
        samples: list[Sample] = []
        for rate in (GAZE_RATE, FRAME_RATE):
            first, due = self._next[rate], (now - START) * rate // NANOSECONDS + 1
            self._next[rate] = due
            for index in range(first, due):
                at = START + index * NANOSECONDS // rate
                if self._faults and _is_silent(rate, at):
                    continue
                if self._faults and index % LOST_EVERY == LOST_EVERY - 1:
                    self._lost[rate] += 1
                    continue
                self._delivered[rate] += 1
                samples += self._gaze(at) if rate == GAZE_RATE else [self._frame(index, at)]
        samples.sort(key=lambda sample: sample.captured_at)
        return Delivery(tuple(samples), now, now, ended=self.clock.now() >= self._end)

    def _frame(self, index: int, at: int) -> SceneFrame:
        return SceneFrame(at, at, index, self._pictures[index % PICTURES])

    def _gaze(self, at: int) -> list[Sample]:
        x, y = self._places[(at - START) // LOOK_EVERY % len(self._places)]
        since = (at - START) % BLINK_EVERY if self._faults else BLINK_EVERY
        samples: list[Sample] = [GazeSample(at, at, x, y, worn=since >= BLINK)]
        if BLINK <= since < BLINK + NANOSECONDS // GAZE_RATE:
            samples.insert(0, Blink(at, at, at - BLINK, at))
        return samples


class SimulatedModels(Models):
    """Models that answer at once, always the same; `cost` ns of simulated time per vision tower."""

    def __init__(self, bundle: Bundle, clock: Clock, cost: int) -> None:
        self.bundle = bundle
        self.engine_name = "simulated"
        self._clock = clock
        self._cost = cost
        manifest = bundle.manifest
        tokens = manifest.settings.live_height * manifest.settings.live_width
        width = manifest.geometry.decoder.width
        injected = len(manifest.geometry.resampler.injected_layers)
        self._visual = np.zeros((tokens, width), np.float32)
        self._residuals = np.zeros((injected, tokens, width), np.float32)

    def features(self, frames: NDArray[np.uint8], steps: int) -> NDArray[np.float32]:
        return np.zeros((1, 1, 1, 1), np.float32)

    def scene(
        self, features: NDArray[np.float32], step: int, steps: int, grid: tuple[int, int]
    ) -> Scene:
        return Scene({})

    def residuals(self, scene: Scene, encoding: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._residuals.copy()

    def visual(self, pair: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._clock.sleep_until(self._clock.now() + self._cost)
        return self._visual.copy()

    def context(self, grid: tuple[int, int], capacity: int) -> Context:
        return SimulatedContext(self.bundle.manifest.geometry.decoder.vocabulary, capacity)


class SimulatedContext(Context):
    """Counts its tokens and steps as a context does, and holds none."""

    def __init__(self, vocabulary: int, capacity: int) -> None:
        self._capacity = capacity
        self._logits = np.zeros(vocabulary, np.float32)
        self._mark = self._empty = Mark(0, 0, 0)

    def append_step(
        self, visual: NDArray[np.float32], residuals: NDArray[np.float32] | None
    ) -> None:
        self._append(visual.shape[0], 1)

    def append_text(self, tokens: NDArray[np.int64], wanted: bool = True) -> NDArray[np.float32]:
        self._append(len(tokens), 0)
        return self._logits

    def _append(self, tokens: int, steps: int) -> None:
        length = self._mark.length + tokens
        if length > self._capacity:
            raise QuestionError(f"{length} tokens in a context of {self._capacity}")
        self._mark = Mark(length, self._mark.steps + steps, length)


def _is_silent(rate: int, at: int) -> bool:
    """Frames stall first, gaze ten seconds later."""
    delay = 20 if rate == FRAME_RATE else 30
    seconds = (at - START) // NANOSECONDS % STALL_EVERY
    return delay <= seconds < delay + STALL
