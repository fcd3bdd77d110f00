"""The encoding of the active fixations that the resampler is given.

Source: the GazeQwen paper (arXiv 2603.25841). Which fixations are active is decided in integer
nanoseconds; the encoding is a handful of sines.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from devices.samples import Fixation
from runtime.errors import NotFiniteError

BASE = 10000.0


def gaze_encoding(fixations: Sequence[Fixation], width: int) -> NDArray[np.float32]:
    """The mean sinusoidal encoding of the fixations' centres: (width,) float32.

    The first half encodes x, the second y, both in [0, 1] of the frame. Without fixations: zeros.
    Raises NotFiniteError for a centre that is none.
    """
    if not fixations:
        return np.zeros(width, np.float32)
    centres = np.array([(fixation.x, fixation.y) for fixation in fixations])
    if not np.isfinite(centres).all():
        raise NotFiniteError("the centre of a fixation is no number")
    half = width // 2
    index = np.arange(half)
    angles = centres[:, :, None] / BASE ** (2 * (index // 2) / half)
    waves = np.where(index % 2 == 0, np.sin(angles), np.cos(angles))
    return waves.mean(axis=0).reshape(-1).astype(np.float32)
