"""Linear interpolation as places, shares and matrices, so that a graph takes any size.

Same arithmetic as PyTorch's linear modes with align_corners False and no antialiasing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def interpolation_places(
    targets: int, sources: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Between which of `sources` values each of `targets` lies: (2, targets), and the share of the
    second of both: (targets,).

    In exact fractions of integers: ONNX's Resize rounds places in float32 by another formula than
    PyTorch's, which shows in the fourth digit of V-JEPA's features of a large frame.
    """
    places = np.maximum((2 * np.arange(targets) + 1) * sources - targets, 0)
    lower = places // (2 * targets)
    upper = np.minimum(lower + 1, sources - 1)
    shares = (places % (2 * targets)).astype(np.float32) / np.float32(2 * targets)
    return np.stack([lower, upper]), shares


def interpolation_matrix(targets: int, sources: int) -> NDArray[np.float32]:
    """Weights that resample `sources` values to `targets`: (targets, sources), rows sum to 1."""
    (lower, upper), shares = interpolation_places(targets, sources)
    matrix = np.zeros((targets, sources), np.float32)
    rows = np.arange(targets)
    np.add.at(matrix, (rows, lower), 1.0 - shares)
    np.add.at(matrix, (rows, upper), shares)
    return matrix
