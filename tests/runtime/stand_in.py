"""A device whose samples are listed beforehand, and recordings of the stream it makes."""

from collections.abc import Sequence

import numpy as np

from devices.clock import SimulatedClock
from devices.device import Delivery, Device, DeviceCounts, DeviceInfo, StreamCounts
from devices.samples import GazeSample, Sample, SceneFrame

SECOND = 1_000_000_000
MS = 1_000_000
START = 1_700_000_000 * SECOND


class ListedDevice(Device):
    """Delivers each sample when it has arrived, on a simulated clock."""

    def __init__(self, samples: Sequence[Sample], size: tuple[int, int] = (160, 120)) -> None:
        super().__init__()
        self._samples = sorted(samples, key=lambda sample: sample.arrived_at)
        self._next = 0
        self._newest = {SceneFrame: 0, GazeSample: 0}
        self._size = size
        self.clock = SimulatedClock(START)

    def connect(self) -> DeviceInfo:
        frames = [s.captured_at for s in self._samples if isinstance(s, SceneFrame)]
        return DeviceInfo("listed", *self._size, 30.0, 200.0, min(frames), max(frames))

    def disconnect(self) -> None:
        """What it did not deliver yet it has not received, either."""
        del self._samples[self._next :]

    def counts(self) -> DeviceCounts:
        seen = self._samples[: self._next]
        frames = sum(isinstance(sample, SceneFrame) for sample in seen)
        gaze = sum(isinstance(sample, GazeSample) for sample in seen)
        return DeviceCounts(StreamCounts(frames, frames), StreamCounts(gaze, gaze))

    def _collect(self) -> Delivery:
        now = self.clock.now()
        first = self._next
        while self._next < len(self._samples) and self._samples[self._next].arrived_at <= now:
            sample = self._samples[self._next]
            if type(sample) in self._newest:
                self._newest[type(sample)] = sample.captured_at
            self._next += 1
        samples = tuple(self._samples[first : self._next])
        ended = self._next == len(self._samples)
        return Delivery(samples, self._until(SceneFrame), self._until(GazeSample), (), ended)

    def _until(self, kind: type) -> int:
        """Samples of a kind arrive in order: everything up to the newest is complete."""
        return self.clock.now() if self._next == len(self._samples) else self._newest[kind]


def stream(seconds: float, seed: int = 0, delay: int = 0, size=(160, 120)) -> list[Sample]:
    """Frames at 30 Hz that all differ, gaze at 200 Hz that jumps every 600 ms."""
    rng = np.random.default_rng(seed)
    samples: list[Sample] = []
    blocks = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
    for index in range(round(seconds * 30)):
        blocks = np.roll(blocks, 1, axis=index % 2)
        at = START + round(index * SECOND / 30)
        pixels = blocks.repeat(size[1] // 12, axis=0).repeat(size[0] // 16, axis=1)
        samples.append(SceneFrame(at, at + delay, index, pixels))
    for index in range(round(seconds * 200)):
        if index % 120 == 0:
            side = 0.25 if index % 240 else 0.75
            place = np.array([side, 0.5]) + rng.uniform(-0.1, 0.1, 2)
        at = START + index * 5 * MS
        x, y = place + rng.normal(0, 0.001, 2)
        samples.append(GazeSample(at, at + delay // 4, float(x), float(y)))
    return samples
