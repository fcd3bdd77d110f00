"""How the wearer's head moves: slow sways of the view over the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SWAY = 0.04  # largest amplitude of one axis, in fractions of the frame
PERIODS = (5.0, 12.0)  # seconds


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Where the view's centre is, from rest, in fractions of the frame; `zoom` is its width."""

    x: float
    y: float
    zoom: float


class HeadMotion:
    """A sum of two sines on each axis, and a slow one towards and away from the table."""

    def __init__(self, random: np.random.Generator) -> None:
        self._amplitude = random.uniform(0.2, 0.5, (2, 2)) * SWAY
        self._rate = 2 * np.pi / random.uniform(*PERIODS, (2, 2))
        self._phase = random.uniform(0, 2 * np.pi, (2, 2))
        self._zoom = float(random.uniform(0.97, 1.05))

    def pose(self, seconds: float) -> HeadPose:
        x, y = self.offsets(np.array([seconds]))[:, 0]
        return HeadPose(float(x), float(y), self._zoom)

    def offsets(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The view's centre at moments (n,): (2, n)."""
        angles = self._rate[..., None] * seconds + self._phase[..., None]
        return (self._amplitude[..., None] * np.sin(angles)).sum(axis=1)

    def seen(
        self, on_table: NDArray[np.float64], seconds: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Where points of the table (2, n) are in the frame at moments (n,): (2, n)."""
        return (on_table - 0.5 - self.offsets(seconds)) / self._zoom + 0.5
