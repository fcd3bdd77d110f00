"""What V-JEPA's graph is told of a clip beside its frames.

A clip has 16 places, two to a tubelet. Of fewer frames the last stands at all that are left, and is
seen once. Of a clip's tubelets some are read, the others are of no use in the last block.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import names
from runtime.bundle.manifest import TUBELET_FRAMES, VJEPA_HEAD_DIM, VJepaShape
from runtime.inputs.interpolation import interpolation_matrix, interpolation_places

PRETRAINING_GRID = 16  # patches a side at 256 px: the positions the rotary embedding was trained at
ROTARY_BASE = 10000.0


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
    order = frame_order(shape, seen)
    cos, sin = clip_rotary(shape)
    rows, row_shares = interpolation_places(shape.pixels, height)
    columns, column_shares = interpolation_places(shape.pixels, width)
    return {
        names.FRAME_ORDER: order.reshape(-1, TUBELET_FRAMES),
        names.ROW_PIXELS: rows.reshape(-1),
        names.ROW_SHARES: row_shares,
        names.COLUMN_PIXELS: columns.reshape(-1),
        names.COLUMN_SHARES: column_shares,
        names.CLIP_COS: cos,
        names.CLIP_SIN: sin,
        names.WANTED_TUBELETS: wanted_tubelets(shape, steps),
    }


def clip_rotary(shape: VJepaShape) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines and sines of every token's rotation, (tubelets, side * side, 64) float32 each.

    Tubelet, row and column take a third of the head each (20 of 64 dimensions), every angle for a
    pair of neighbours; what is left over does not rotate. Rows and columns are brought to the grid
    of pretraining. Source: V-JEPA 2.1 (facebookresearch/vjepa2).
    """
    pairs = VJEPA_HEAD_DIM // 3 // 2
    rates = ROTARY_BASE ** -(np.arange(pairs) / pairs)
    cells = np.arange(shape.side) * (PRETRAINING_GRID - 1) / max(shape.side - 1, 1)
    axes = np.meshgrid(np.arange(shape.tubelets), cells, cells, indexing="ij")
    angles = np.zeros((shape.tubelets, shape.side**2, VJEPA_HEAD_DIM))
    for third, places in enumerate(axes):
        turned = np.repeat(places.reshape(shape.tubelets, -1, 1) * rates, 2, axis=-1)
        angles[..., 2 * pairs * third : 2 * pairs * (third + 1)] = turned
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
