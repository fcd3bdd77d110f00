"""A scene: which things lie where on the table, and from when on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devices.synthetic.shapes import COLOURS, KINDS

SEPARATION = 0.33  # between the centres of two things, in fractions of the frame
MARGIN = 0.15  # between a thing's centre and the edge of the frame, head at rest
LARGEST = 0.27  # side of a thing, in fractions of the frame
TEXTURES = 240  # different surfaces with their light
CROSSED_SHARE = 0.4  # of the scenes: two kinds in two colours


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing. `x`, `y`, `size` in fractions of the frame, head at rest.

    `appears` and is there from then on: seconds from the start, 0 for what was always there.
    """

    kind: str
    colour: str
    x: float
    y: float
    size: float
    degrees: float
    appears: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.colour} {self.kind}"


@dataclass(frozen=True, slots=True)
class Scene:
    """The things of a table. `texture` numbers its surface and its light.

    `crossed`: the places (in `things`) of four things that are two kinds in two colours; else ().
    """

    things: tuple[Thing, ...]
    texture: int
    crossed: tuple[int, ...] = ()

    def present(self, seconds: float) -> tuple[int, ...]:
        """Places of the things that are there at a moment."""
        return tuple(place for place, thing in enumerate(self.things) if thing.appears <= seconds)


def draw_scene(random: np.random.Generator, seconds: float) -> Scene:
    """A random scene of four to six things; at times one of them appears within `seconds`."""
    spots = _spots(random, int(random.integers(4, 7)))
    crossed = bool(random.random() < CROSSED_SHARE)
    kinds_colours = _crossed(random, len(spots)) if crossed else _distinct(random, len(spots))
    late = len(spots) > 4 and random.random() < 0.5
    things = []
    for place, ((kind, colour), (x, y)) in enumerate(zip(kinds_colours, spots, strict=True)):
        last = late and place == len(spots) - 1
        things.append(
            Thing(
                kind=kind,
                colour=colour,
                x=x,
                y=y,
                size=float(random.uniform(0.85, 1.0) * LARGEST),
                degrees=float(random.uniform(-25, 25)),
                appears=float(random.uniform(0.15, 0.85) * seconds) if last else 0.0,
            )
        )
    return Scene(tuple(things), int(random.integers(TEXTURES)), (0, 1, 2, 3) if crossed else ())


def _spots(random: np.random.Generator, count: int) -> list[tuple[float, float]]:
    """Places that keep their distance; fewer than `count` (but four) where no more fit."""
    while True:
        spots: list[tuple[float, float]] = []
        for _ in range(60):
            x, y = random.uniform(MARGIN, 1 - MARGIN, 2)
            if all(np.hypot(x - other, y - across) >= SEPARATION for other, across in spots):
                spots.append((float(x), float(y)))
            if len(spots) == count:
                return spots
        if len(spots) >= 4:
            return spots


def _distinct(random: np.random.Generator, count: int) -> list[tuple[str, str]]:
    """All kinds and all colours differ."""
    kinds = random.permutation(len(KINDS))[:count]
    colours = random.permutation(len(COLOURS))[:count]
    names = tuple(COLOURS)
    return [(KINDS[kind], names[colour]) for kind, colour in zip(kinds, colours, strict=True)]


def _crossed(random: np.random.Generator, count: int) -> list[tuple[str, str]]:
    """Two kinds in two colours each, and others that share neither."""
    pairs = _distinct(random, 2 + count - 4)
    (kind, colour), (other, shade) = pairs[:2]
    return [(kind, colour), (kind, shade), (other, colour), (other, shade), *pairs[2:]]
