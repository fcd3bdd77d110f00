"""How the released evaluation samples a clip: its rate, its frames, its step times, its grid.

Source: the GazeQwen release (arXiv 2603.25841) and qwen-vl-utils. These are properties of the
checkpoint's evaluation, kept as they are; the live loop takes only the rate from here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS

RATES = ((30.0, 1.0), (60.0, 0.5), (300.0, 0.2))  # clips up to so many seconds: frames per second
SLOWEST_RATE = 0.1
FEWEST_FRAMES, MOST_FRAMES = 4, 8
FEWEST_TOKENS, MOST_TOKENS = 128, 768  # visual tokens of one step
FRAMES_PER_STEP = 2


def sampling_rate(seconds: float) -> float:
    """Frames per second for a clip or a window of this length."""
    return next((rate for longest, rate in RATES if seconds <= longest), SLOWEST_RATE)


def frame_count(frames: int, seconds: float, rate: float) -> int:
    """How many of a clip's `frames` frames the model sees, `seconds` being what they last.

    `rate` of them a second, between 4 and 8, no more than there are, and even: 0 of a single one.
    """
    wanted = min(max(seconds * rate, FEWEST_FRAMES), MOST_FRAMES, frames)
    return int(wanted // FRAMES_PER_STEP) * FRAMES_PER_STEP


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


def released_grid(width: int, height: int, token_pixels: int) -> tuple[int, int]:
    """The grid (H, W) in tokens to which a frame is resized: 128 to 768 tokens, aspect kept.

    The order of the operations is that of qwen-vl-utils: in 4:3, rounding decides.
    """
    least, most = (tokens * token_pixels**2 for tokens in (FEWEST_TOKENS, MOST_TOKENS))
    rows, columns = (max(1, round(side / token_pixels)) for side in (height, width))
    pixels = rows * columns * token_pixels**2
    if pixels > most:
        shrink = math.sqrt(height * width / most)
        rows = max(1, math.floor(height / shrink / token_pixels))
        columns = max(1, math.floor(width / shrink / token_pixels))
    elif pixels < least:
        grow = math.sqrt(least / (height * width))
        rows = math.ceil(height * grow / token_pixels)
        columns = math.ceil(width * grow / token_pixels)
    return rows, columns
