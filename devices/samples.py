"""What a device delivers: immutable samples, each with its capture and its arrival time.

Clock of every time here: Unix nanoseconds of the host, the device's own clock already mapped to
it. Positions are fractions of the scene frame, origin at the top left; gaze may lie outside
[0, 1] when the wearer looks past the edge of the camera's view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS

FixationSource = Literal["device", "file", "dispersion", "velocity", "adaptive"]


@dataclass(frozen=True, slots=True)
class GazeSample:
    """One gaze estimate.

    `worn` is False while the glasses are off or the eyes closed: the sample then says that there
    is no gaze. `confidence` lies in [0, 1]; None where the tracker gives none.
    """

    captured_at: int
    arrived_at: int
    x: float
    y: float
    worn: bool = True
    confidence: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SceneFrame:
    """One frame of the head camera: `pixels` is uint8 RGB, (height, width, 3), never written to.

    `index` is the frame's running number in its stream; for a file, its number in decoding order.
    """

    captured_at: int
    arrived_at: int
    index: int
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Fixation:
    """One fixation, its centre the mean of the gaze it holds.

    `ended_at` is None while it lasts. `whole` says that the centre was computed over the whole
    fixation beforehand (a fixation file), so that it is known before the fixation has ended.
    `captured_at` is the capture time of the newest data it rests on.
    """

    captured_at: int
    arrived_at: int
    x: float
    y: float
    started_at: int
    ended_at: int | None
    source: FixationSource
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Blink:
    """Eyes closed from `started_at` to `ended_at`: gaze captured in between means nothing."""

    captured_at: int
    arrived_at: int
    started_at: int
    ended_at: int


@dataclass(frozen=True, slots=True)
class KnownQuestion:
    """A question that the source asks itself: a synthetic wearer, a session that is played again.

    `options` are bare texts in the order of their letters; `answer` is the right letter, None where
    it is not known. `captured_at` is the moment at which it is asked.
    """

    captured_at: int
    arrived_at: int
    task: str
    text: str
    options: tuple[str, ...]
    answer: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A piece of what the microphone heard: `samples` float32 mono in [-1, 1], (n,), never written
    to; `rate` in Hz.

    `begins_at` is when the first of them was captured. Where a piece begins later than the one
    before it ended, what lay between is lost.
    """

    begins_at: int
    arrived_at: int
    rate: int
    samples: NDArray[np.float32]

    @property
    def captured_at(self) -> int:
        """When the last of it was captured: only then can it be known."""
        return self.begins_at + self.samples.size * NANOSECONDS // self.rate


Sample = GazeSample | SceneFrame | Fixation | Blink | KnownQuestion | Sound
