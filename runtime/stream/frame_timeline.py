"""The scene of the last moments, each frame resized once to the model's input."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from devices.clock import NANOSECONDS
from devices.samples import SceneFrame

SLACK = 2.0  # seconds that a question may lie before the newest frame and still find its pair


@dataclass(frozen=True, slots=True, eq=False)
class FramePair:
    """The two frames of a temporal step: uint8 RGB (h, w, 3), capture times in Unix ns."""

    older: NDArray[np.uint8]
    newer: NDArray[np.uint8]
    older_at: int
    newer_at: int

    @property
    def key(self) -> tuple[int, int]:
        """What identifies the pair within its stream."""
        return self.older_at, self.newer_at


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    captured_at: int
    pixels: NDArray[np.uint8]


class FrameTimeline:
    """Frames in order of capture, kept for one sampling interval and some slack."""

    def __init__(self, height: int, width: int, frames_per_second: float) -> None:
        """`height`, `width`: pixels of the model's input; the sampling rate in Hz."""
        self._size = height, width
        self._interval = round(NANOSECONDS / frames_per_second)
        self._frames: list[_Kept] = []

    @property
    def newest_at(self) -> int | None:
        """Capture time of the newest frame, Unix ns."""
        return self._frames[-1].captured_at if self._frames else None

    @property
    def oldest_at(self) -> int | None:
        """Capture time of the oldest frame kept, Unix ns."""
        return self._frames[0].captured_at if self._frames else None

    def __len__(self) -> int:
        """How many frames are kept."""
        return len(self._frames)

    def add(self, frame: SceneFrame) -> NDArray[np.uint8]:
        """Keep a frame; frames come in order of capture. Returns it as kept, (height, width, 3)."""
        pixels = resized(frame.pixels, *self._size)
        self._frames.append(_Kept(frame.captured_at, pixels))
        return pixels

    def pair(self, moment: int) -> FramePair | None:
        """The newest frame captured by `moment`, and the newest one a sampling interval before it.

        At the start of the stream, where there is none so old, both are the same frame.
        """
        newer = self._newest_by(moment)
        if newer is None:
            return None
        older = self._newest_by(newer.captured_at - self._interval) or newer
        return FramePair(older.pixels, newer.pixels, older.captured_at, newer.captured_at)

    def forget(self, moment: int) -> None:
        """No earlier moment than `moment` will be asked for any more."""
        horizon = moment - self._interval - round(SLACK * NANOSECONDS)
        keep = bisect_right(self._frames, horizon, key=lambda frame: frame.captured_at) - 1
        del self._frames[: max(keep, 0)]

    def _newest_by(self, moment: int) -> _Kept | None:
        index = bisect_right(self._frames, moment, key=lambda frame: frame.captured_at)
        return self._frames[index - 1] if index else None


def resized(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Bicubic, antialiased: uint8 RGB (h, w, 3) -> (height, width, 3)."""
    if pixels.shape[:2] == (height, width):
        return pixels
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)
