"""What the vision tower needs to know of a grid: windows, places and rotary rows.

Source: Qwen2.5-VL (arXiv 2502.13923). A pure function of the grid, computed once per grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import names
from runtime.bundle.manifest import VisionShape

ROTARY_BASE = 10000.0
PADDING = np.float32(-1e9)  # added to the score of a place that holds no patch


@dataclass(frozen=True, slots=True, eq=False)
class VisionLayout:
    """Inputs of the vision graph for one grid; shapes as in `runtime.bundle.manifest`."""

    order: NDArray[np.int64]
    mask: NDArray[np.float32]
    place: NDArray[np.int64]
    cos: NDArray[np.float32]
    sin: NDArray[np.float32]

    def inputs(self) -> dict[str, NDArray[np.generic]]:
        """By the names of the graph."""
        return {
            names.WINDOW_ORDER: self.order,
            names.WINDOW_MASK: self.mask,
            names.WINDOW_PLACE: self.place,
            names.VISION_COS: self.cos,
            names.VISION_SIN: self.sin,
        }


def vision_layout(shape: VisionShape, height: int, width: int) -> VisionLayout:
    """The layout of a grid of `height` x `width` visual tokens.

    Patches are numbered in groups of one visual token, groups row-major. Windows tile the grid from
    its top left corner; those at the right and lower edge may be partly empty.
    """
    rows, columns = _patch_positions(shape.merge, height, width)
    side = shape.window // shape.patch
    across = -(-width * shape.merge // side)
    down = -(-height * shape.merge // side)
    window = (rows // side) * across + columns // side
    within = (rows % side) * side + columns % side
    place = window * side * side + within
    order = np.zeros(down * across * side * side, np.int64)
    mask = np.full(order.size, PADDING, np.float32)
    order[place] = np.arange(place.size)
    mask[place] = 0.0
    cos, sin = _rotary(shape.head_dim, rows, columns)
    windows = (down * across, side * side)
    return VisionLayout(order.reshape(windows), mask.reshape(windows), place, cos, sin)


def _patch_positions(
    merge: int, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of every patch, in the patches' order."""
    grid = np.indices((height, width, merge, merge)).reshape(4, -1)
    return grid[0] * merge + grid[2], grid[1] * merge + grid[3]


def _rotary(
    head_dim: int, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Half the frequencies turn with the row, half with the column; the two halves repeat."""
    half = head_dim // 2
    powers = np.arange(0, half, 2, dtype=np.float32) / np.float32(half)
    rates = np.float32(1.0) / np.float32(ROTARY_BASE) ** powers
    angles = np.concatenate(
        [rows[:, None].astype(np.float32) * rates, columns[:, None].astype(np.float32) * rates],
        axis=1,
    )
    angles = np.concatenate([angles, angles], axis=1)
    return np.cos(angles), np.sin(angles)
