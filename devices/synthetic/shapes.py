"""The things of the world as pictures: silhouettes with a few inner lines, in any colour.

A shape is drawn once, large, on a unit square: its silhouette and how bright each part is. What
the wearer sees of a thing is that picture turned, scaled and coloured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE = 192  # pixels of the large drawing

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (205, 38, 38),
    "green": (42, 150, 62),
    "blue": (40, 82, 205),
    "yellow": (235, 202, 40),
    "purple": (140, 50, 165),
    "white": (240, 240, 238),
}


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """`silhouette` and `brightness`: (SIDE, SIDE) images of mode L, 255 = inside, full colour."""

    silhouette: Image.Image
    brightness: Image.Image


class _Pencil:
    """Draws on both pictures at once, in the coordinates of the unit square."""

    def __init__(self) -> None:
        self.silhouette = Image.new("L", (SIDE, SIDE), 0)
        self.brightness = Image.new("L", (SIDE, SIDE), 255)
        self._mask = ImageDraw.Draw(self.silhouette)
        self._shade = ImageDraw.Draw(self.brightness)

    def fill(self, *points: tuple[float, float], shade: int = 255) -> None:
        places = [(x * SIDE, y * SIDE) for x, y in points]
        self._mask.polygon(places, fill=255)
        self._shade.polygon(places, fill=shade)

    def ellipse(
        self, left: float, top: float, right: float, bottom: float, shade: int = 255
    ) -> None:
        box = [edge * SIDE for edge in (left, top, right, bottom)]
        self._mask.ellipse(box, fill=255)
        self._shade.ellipse(box, fill=shade)

    def hole(self, left: float, top: float, right: float, bottom: float) -> None:
        self._mask.ellipse([edge * SIDE for edge in (left, top, right, bottom)], fill=0)


def _cup(pencil: _Pencil) -> None:
    pencil.ellipse(0.55, 0.3, 0.98, 0.75)
    pencil.hole(0.66, 0.41, 0.87, 0.64)
    pencil.fill((0.08, 0.18), (0.74, 0.18), (0.66, 0.9), (0.16, 0.9))
    pencil.ellipse(0.08, 0.08, 0.74, 0.3, shade=110)


def _knife(pencil: _Pencil) -> None:
    pencil.fill((0.02, 0.42), (0.1, 0.36), (0.62, 0.36), (0.62, 0.62), (0.14, 0.6))
    pencil.fill((0.6, 0.4), (0.98, 0.4), (0.98, 0.6), (0.6, 0.6), shade=110)


def _plate(pencil: _Pencil) -> None:
    pencil.ellipse(0.04, 0.04, 0.96, 0.96)
    pencil.ellipse(0.2, 0.2, 0.8, 0.8, shade=150)
    pencil.ellipse(0.25, 0.25, 0.75, 0.75)


def _bottle(pencil: _Pencil) -> None:
    pencil.fill((0.3, 0.4), (0.7, 0.4), (0.7, 0.98), (0.3, 0.98))
    pencil.fill((0.42, 0.1), (0.58, 0.1), (0.7, 0.42), (0.3, 0.42))
    pencil.fill((0.4, 0.02), (0.6, 0.02), (0.6, 0.16), (0.4, 0.16), shade=100)
    pencil.fill((0.3, 0.58), (0.7, 0.58), (0.7, 0.78), (0.3, 0.78), shade=150)


def _book(pencil: _Pencil) -> None:
    pencil.fill((0.1, 0.12), (0.9, 0.12), (0.9, 0.88), (0.1, 0.88))
    pencil.fill((0.1, 0.12), (0.26, 0.12), (0.26, 0.88), (0.1, 0.88), shade=110)
    pencil.fill((0.4, 0.28), (0.78, 0.28), (0.78, 0.42), (0.4, 0.42), shade=120)


def _key(pencil: _Pencil) -> None:
    pencil.ellipse(0.02, 0.28, 0.46, 0.72)
    pencil.hole(0.14, 0.4, 0.34, 0.6)
    pencil.fill((0.42, 0.44), (0.98, 0.44), (0.98, 0.56), (0.42, 0.56))
    pencil.fill((0.7, 0.5), (0.78, 0.5), (0.78, 0.76), (0.7, 0.76))
    pencil.fill((0.88, 0.5), (0.97, 0.5), (0.97, 0.8), (0.88, 0.8))


def _hammer(pencil: _Pencil) -> None:
    pencil.fill((0.43, 0.3), (0.57, 0.3), (0.57, 0.98), (0.43, 0.98), shade=150)
    pencil.fill((0.08, 0.06), (0.92, 0.06), (0.92, 0.34), (0.08, 0.34))


def _star(pencil: _Pencil) -> None:
    corners = []
    for corner in range(10):
        radius = 0.5 if corner % 2 == 0 else 0.22
        angle = math.pi * corner / 5 - math.pi / 2
        corners.append((0.5 + radius * math.cos(angle), 0.52 + radius * math.sin(angle)))
    pencil.fill(*corners)


_DRAWERS: dict[str, Callable[[_Pencil], None]] = {
    "cup": _cup,
    "knife": _knife,
    "plate": _plate,
    "bottle": _bottle,
    "book": _book,
    "key": _key,
    "hammer": _hammer,
    "star": _star,
}
KINDS = tuple(_DRAWERS)


@cache
def drawing(kind: str) -> Drawing:
    """The large drawing of a kind of thing."""
    pencil = _Pencil()
    _DRAWERS[kind](pencil)
    return Drawing(pencil.silhouette, pencil.brightness)


def picture(
    kind: str, colour: str, pixels: int, degrees: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A thing as seen: colour (pixels, pixels, 3) in [0, 255] and opacity (pixels, pixels, 1)."""
    large = drawing(kind)
    layers = [
        np.asarray(
            image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=edge).resize(
                (pixels, pixels), Image.Resampling.BOX
            ),
            dtype=np.float32,
        )
        / 255.0
        for image, edge in ((large.silhouette, 0), (large.brightness, 255))
    ]
    opacity, brightness = layers
    return brightness[..., None] * np.array(COLOURS[colour], np.float32), opacity[..., None]
