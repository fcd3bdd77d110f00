"""What the released evaluation makes of a clip: which frames, of what size, with which fixations.

Source: the GazeQwen release (arXiv 2603.25841), qwen-vl-utils and torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from devices.clock import NANOSECONDS
from devices.samples import Fixation
from runtime.errors import RuntimeFault
from runtime.stream.sampling import (
    FRAMES_PER_STEP,
    frame_count,
    frame_indices,
    sampling_rate,
    step_times,
)
from runtime.stream.scanpath import Scanpath

SHORTEST = NANOSECONDS // 10  # of a clip
MICROSECONDS = 6  # digits to which the length of frames is known: their times are rounded to ns
BRIGHTEST = 255


@dataclass(frozen=True, slots=True, eq=False)
class ReleasedClip:
    """What the released code makes of a clip. Times in Unix ns.

    `indices`: the frames taken. `active`: the fixations of each step at the time the code gives it;
    None where the clip's scanpath has no rows at all.
    """

    indices: NDArray[np.int64]
    step_times: tuple[int, ...]
    active: tuple[tuple[Fixation, ...], ...] | None


def released_clip(
    frame_times: NDArray[np.int64], fixations: Sequence[Fixation], start: int, end: int
) -> ReleasedClip:
    """Sample the clip [start, end) of a video, cut as by ffmpeg's -ss and -t.

    `frame_times`: of all its frames, (n,) Unix ns. The clip's nominal length decides the rate, the
    frames that it holds how many are taken. Raises RuntimeFault for a clip of less than a pair.
    """
    cut_at = max(end, start + SHORTEST)
    inside = np.flatnonzero((frame_times >= start) & (frame_times < cut_at))
    seconds = (end - start) / NANOSECONDS
    rate = sampling_rate(seconds)
    count = frame_count(inside.size, _lasting(frame_times[inside]), rate)
    if count < FRAMES_PER_STEP:
        raise RuntimeFault(
            f"there is {'one frame' if inside.size else 'no frame'} in the clip that the question "
            "is about: the model takes pairs"
        )
    times = step_times(start, seconds, count)
    scanpath = Scanpath.of(fixations, int(frame_times[0])).within(start, end)
    active = tuple(scanpath.active_at(time) for time in times) if scanpath.fixations else None
    return ReleasedClip(inside[frame_indices(inside.size, count)], times, active)


def released_resized(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Bicubic, antialiased, in float32, rounded once: uint8 RGB (h, w, 3) -> (height, width, 3).

    A resize of uint8 rounds between its two passes.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    channels = [
        np.asarray(
            Image.fromarray(channel.astype(np.float32)).resize(
                (width, height), Image.Resampling.BICUBIC
            )
        )
        for channel in np.moveaxis(pixels, -1, 0)
    ]
    small = np.stack(channels, axis=-1)
    return np.rint(np.clip(small, 0, BRIGHTEST)).astype(np.uint8)


def _lasting(times: NDArray[np.int64]) -> float:
    """Seconds that frames last, each as long as they do on average."""
    if times.size < FRAMES_PER_STEP:
        return 0.0
    average = int(times[-1] - times[0]) / (times.size - 1)
    return round(times.size * average / NANOSECONDS, MICROSECONDS)
