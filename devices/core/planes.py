"""Pictures in planes of brightness and colour, as a camera's JPEG decoder leaves them."""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

_LAYOUTS = (("yuvj420p", 2, 2), ("yuvj422p", 2, 1), ("yuvj444p", 1, 1))
"""libav's name, and the pixels across and down that share a colour."""


def rgb_from_planes(data: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """RGB (height, width, 3) of the planes Y, U and V one after the other, full range.

    How much of the colour there is tells the layout. Raises ValueError for another length.
    """
    for name, across, down in _LAYOUTS:
        shapes = (height, width), *[(-(-height // down), -(-width // across))] * 2
        if data.size == sum(rows * columns for rows, columns in shapes):
            return _converted(data, av.VideoFrame(width, height, name), shapes)
    raise ValueError("not the length of planes of that size")


def _converted(
    data: NDArray[np.uint8], frame: av.VideoFrame, shapes: tuple[tuple[int, int], ...]
) -> NDArray[np.uint8]:
    start = 0
    for plane, (rows, columns) in zip(frame.planes, shapes, strict=True):
        lines = np.zeros((rows, plane.line_size), np.uint8)
        lines[:, :columns] = data[start : start + rows * columns].reshape(rows, columns)
        plane.update(lines)
        start += rows * columns
    return frame.to_ndarray(format="rgb24")
