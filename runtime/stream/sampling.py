"""How the released evaluation samples a clip: its rate, its frames, its step times, its grid.

Source: the GazeQwen release (arXiv 2603.25841) and qwen-vl-utils. These are properties of the
checkpoint's evaluation, kept as they are; the live loop takes only the rate from here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.samples import Fixation

RATES = ((30.0, 1.0), (60.0, 0.5), (300.0, 0.2))  # clips up to so many seconds: frames per second
SLOWEST_RATE = 0.1
FEWEST_FRAMES, MOST_FRAMES = 4, 8
FEWEST_TOKENS, MOST_TOKENS = 128, 768  # visual tokens of one step
FRAMES_PER_STEP = 2


def sampling_rate(seconds: float) -> float:
    """Frames per second for a clip or a window of this length."""
    return next((rate for longest, rate in RATES if seconds <= longest), SLOWEST_RATE)


def frame_count(seconds: float) -> int:
    """How many frames of a clip the model sees: even, between 4 and 8."""
    wanted = seconds * sampling_rate(seconds)
    count = min(max(wanted, FEWEST_FRAMES), MOST_FRAMES)
    return int(count // FRAMES_PER_STEP) * FRAMES_PER_STEP


def frame_indices(frames: int, count: int) -> NDArray[np.int64]:
    """Which of a clip's `frames` frames are taken: `count` of them, evenly spaced."""
    return np.linspace(0, frames - 1, count).round().astype(np.int64)


def step_times(start: int, seconds: float, count: int) -> tuple[int, ...]:
    """The times (ns) that the released code gives to the steps of `count` frames.

    They follow the sampling rate from the clip's `start` on, although the frames span the clip.
    """
    interval = FRAMES_PER_STEP / sampling_rate(seconds) * NANOSECONDS
    return tuple(start + round(step * interval) for step in range(count // FRAMES_PER_STEP))


def vjepa_indices(count: int, frames: int = 16) -> NDArray[np.int64]:
    """Which of the `count` frames given to the vision tower V-JEPA sees at each of its places.

    Fewer than its input are followed by the last one, repeated.
    """
    if count < frames:
        return np.minimum(np.arange(frames), count - 1)
    return np.linspace(0, count - 1, frames).astype(np.int64)


def clip_fixations(fixations: Sequence[Fixation], start: int, end: int) -> tuple[Fixation, ...]:
    """The fixations whose midpoint lies in the clip [start, end] (ns); open ones have none."""
    return tuple(
        fixation
        for fixation in fixations
        if fixation.ended_at is not None
        and start <= (fixation.started_at + fixation.ended_at) / 2 <= end
    )


def active_at(fixations: Sequence[Fixation], moment: int) -> tuple[Fixation, ...]:
    """The fixations that span `moment` (ns)."""
    return tuple(
        fixation
        for fixation in fixations
        if fixation.ended_at is not None and fixation.started_at <= moment <= fixation.ended_at
    )


def released_grid(width: int, height: int, token_pixels: int) -> tuple[int, int]:
    """The grid (H, W) in tokens to which a frame is resized: 128 to 768 tokens, aspect kept."""
    rows, columns = round(height / token_pixels), round(width / token_pixels)
    area = height * width / token_pixels**2
    if rows * columns > MOST_TOKENS:
        shrink = math.sqrt(area / MOST_TOKENS)
        rows = max(1, math.floor(height / shrink / token_pixels))
        columns = max(1, math.floor(width / shrink / token_pixels))
    elif rows * columns < FEWEST_TOKENS:
        grow = math.sqrt(FEWEST_TOKENS / area)
        rows = math.ceil(height * grow / token_pixels)
        columns = math.ceil(width * grow / token_pixels)
    return rows, columns
