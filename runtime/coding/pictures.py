"""The picture of a fixation: what lies around gaze, cut out of the frame as it was recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHARE = 0.3  # side of what is cut out, in fractions of the frame's shorter side
PIXELS = 160  # side of the picture
GREY = 128  # beyond the frame's edge
QUALITY = 85


def crop(pixels: NDArray[np.uint8], x: float, y: float) -> Image.Image:
    """The square around a place (fractions of the frame), gaze in its middle; PIXELS a side.

    `pixels`: uint8 RGB (height, width, 3).
    """
    height, width = pixels.shape[:2]
    side = max(2, round(SHARE * min(height, width)))
    left, top = round(x * width - side / 2), round(y * height - side / 2)
    square = np.full((side, side, 3), GREY, np.uint8)
    rows = slice(max(top, 0), max(min(top + side, height), 0))
    columns = slice(max(left, 0), max(min(left + side, width), 0))
    seen = pixels[rows, columns]
    down, across = rows.start - top, columns.start - left
    square[down : down + seen.shape[0], across : across + seen.shape[1]] = seen
    return Image.fromarray(square).resize((PIXELS, PIXELS), Image.Resampling.BICUBIC)


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture as JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=QUALITY)
