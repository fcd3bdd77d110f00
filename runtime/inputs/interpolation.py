"""Linear interpolation as matrices, so that a graph takes any number of steps and any grid.

Same arithmetic as PyTorch's linear modes with align_corners False and no antialiasing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def interpolation_matrix(targets: int, sources: int) -> NDArray[np.float32]:
    """Weights that resample `sources` values to `targets`: (targets, sources), rows sum to 1."""
    places = np.maximum((np.arange(targets) + 0.5) * (sources / targets) - 0.5, 0.0)
    lower = np.minimum(places.astype(np.int64), sources - 1)
    upper = np.minimum(lower + 1, sources - 1)
    share = (places - lower).astype(np.float32)
    matrix = np.zeros((targets, sources), np.float32)
    rows = np.arange(targets)
    np.add.at(matrix, (rows, lower), 1.0 - share)
    np.add.at(matrix, (rows, upper), share)
    return matrix
