"""Where a gaze point would lie in an ideal camera without lens distortion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDEST = 4.0
"""Tangent of the widest angle from the optical axis that is considered (76 degrees)."""
HALVINGS = 36
TANGENTIAL_ROUNDS = 4
COEFFICIENTS = 8
LONGEST_FOCAL, GREATEST_COEFFICIENT = 1e5, 1e4
"""Pixels, and a number: calibrations of real cameras are far below."""


class NoLens(ValueError):
    """A calibration that no camera can have. The message says why in a few words."""


@dataclass(frozen=True, slots=True)
class Lens:
    """A scene camera: focal lengths and centre in pixels, and the distortion's 8 coefficients
    k1, k2, p1, p2, k3, k4, k5, k6 (the rational model, as OpenCV orders them).

    `reach` is the tangent of the angle up to which the model is invertible: towards the corners
    of Neon's frame it folds back, and no undistorted point belongs to what lies beyond.
    """

    focal: tuple[float, float]
    centre: tuple[float, float]
    coefficients: tuple[float, ...]
    reach: float

    @classmethod
    def from_calibration(cls, matrix: Sequence[Sequence[float]], values: Sequence[float]) -> Lens:
        """From a 3x3 camera matrix and at least 8 distortion coefficients. Raises NoLens."""
        coefficients = tuple(float(value) for value in values[:COEFFICIENTS])
        focal = float(matrix[0][0]), float(matrix[1][1])
        centre = float(matrix[0][2]), float(matrix[1][2])
        if not all(1 <= length <= LONGEST_FOCAL for length in focal):
            raise NoLens(f"focal lengths of {focal[0]:g} and {focal[1]:g} pixels")
        if not all(abs(place) <= LONGEST_FOCAL for place in centre):
            raise NoLens(f"a centre at {centre[0]:g}, {centre[1]:g} pixels")
        within = [abs(value) <= GREATEST_COEFFICIENT for value in coefficients]
        if len(within) < COEFFICIENTS or not all(within):
            raise NoLens("distortion coefficients that are missing or no numbers")
        if (reach := _reach(coefficients)) <= 0:
            raise NoLens("distortion coefficients that turn the picture inside out")
        return cls(focal, centre, coefficients, reach)

    def undistorted(self, x: float, y: float) -> tuple[float, float]:
        """The point (pixels) at which an ideal camera of the same matrix would see it; for a point
        beyond the model's reach, the farthest one in its direction."""
        seen_x = (x - self.centre[0]) / self.focal[0]
        seen_y = (y - self.centre[1]) / self.focal[1]
        _, _, p1, p2, *_ = self.coefficients
        shift_u = shift_v = 0.0
        for _ in range(TANGENTIAL_ROUNDS):
            u, v = self._without_radial(seen_x - shift_u, seen_y - shift_v)
            square = u * u + v * v
            shift_u = 2 * p1 * u * v + p2 * (square + 2 * u * u)
            shift_v = p1 * (square + 2 * v * v) + 2 * p2 * u * v
        return u * self.focal[0] + self.centre[0], v * self.focal[1] + self.centre[1]

    def _without_radial(self, x: float, y: float) -> tuple[float, float]:
        """Undo the radial part by halving: it rises from 0 to the model's reach."""
        seen = math.hypot(x, y)
        if seen == 0:
            return x, y
        low, high = 0.0, self.reach
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if _radial(middle, self.coefficients) < seen:
                low = middle
            else:
                high = middle
        return x * high / seen, y * high / seen


def _radial(radius: float, coefficients: Sequence[float]) -> float:
    """The distorted radius of an ideal one, both in units of the focal length."""
    k1, k2, _, _, k3, k4, k5, k6 = coefficients
    square = radius * radius
    above = 1 + ((k3 * square + k2) * square + k1) * square
    below = 1 + ((k6 * square + k5) * square + k4) * square
    return radius * above / below if below else math.inf


def _reach(coefficients: Sequence[float]) -> float:
    steps = 2000
    before = 0.0
    for step in range(1, steps + 1):
        radius = WIDEST * step / steps
        distorted = _radial(radius, coefficients)
        if distorted <= before:
            return WIDEST * (step - 1) / steps
        before = distorted
    return WIDEST
