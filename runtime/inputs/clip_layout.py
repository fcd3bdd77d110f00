"""What V-JEPA's graph is told of a clip beside its frames.

A clip has 16 places. Of fewer frames the last stands at all that are left, and is seen once. Of a
clip's tubelets some are read, the others are of no use in the last block.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import names
from runtime.bundle.manifest import VJepaShape
from runtime.inputs.interpolation import interpolation_matrix, interpolation_places


def frame_order(shape: VJepaShape, seen: int) -> NDArray[np.int64]:
    """Which of `seen` frames stands at each place of a clip: (frames,)."""
    return np.minimum(np.arange(shape.frames), seen - 1)


def wanted_tubelets(shape: VJepaShape, steps: int) -> NDArray[np.int64]:
    """The tubelets from which a clip of so many steps is interpolated: of one, those in the middle.

    (wanted,), rising.
    """
    read = interpolation_matrix(steps, shape.tubelets).any(axis=0)
    return np.flatnonzero(read)


def clip_layout(
    shape: VJepaShape, frames: tuple[int, ...], steps: int
) -> dict[str, NDArray[np.int64] | NDArray[np.float32]]:
    """The graph's inputs for `frames` of the shape (seen, h, w, 3), of a clip of so many steps."""
    seen, height, width, _ = frames
    rows, row_shares = interpolation_places(shape.pixels, height)
    columns, column_shares = interpolation_places(shape.pixels, width)
    return {
        names.FRAME_ORDER: frame_order(shape, seen),
        names.ROW_PIXELS: rows.reshape(-1),
        names.ROW_SHARES: row_shares,
        names.COLUMN_PIXELS: columns.reshape(-1),
        names.COLUMN_SHARES: column_shares,
        names.WANTED_TUBELETS: wanted_tubelets(shape, steps),
    }
