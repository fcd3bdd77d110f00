"""Where a gaze point would lie in an ideal camera without lens distortion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ITERATIONS = 20


@dataclass(frozen=True, slots=True)
class Lens:
    """A scene camera: focal lengths and centre in pixels, and the distortion's 8 coefficients
    k1, k2, p1, p2, k3, k4, k5, k6 (the rational model, as OpenCV orders them)."""

    focal: tuple[float, float]
    centre: tuple[float, float]
    coefficients: tuple[float, ...]

    @classmethod
    def from_calibration(cls, matrix: Sequence[Sequence[float]], values: Sequence[float]) -> Lens:
        """From a 3x3 camera matrix and at least 8 distortion coefficients."""
        return cls(
            (float(matrix[0][0]), float(matrix[1][1])),
            (float(matrix[0][2]), float(matrix[1][2])),
            tuple(float(value) for value in values[:8]),
        )

    def undistorted(self, x: float, y: float) -> tuple[float, float]:
        """The point (pixels) at which an ideal camera of the same matrix would see it."""
        seen_x = (x - self.centre[0]) / self.focal[0]
        seen_y = (y - self.centre[1]) / self.focal[1]
        k1, k2, p1, p2, k3, k4, k5, k6 = self.coefficients
        u, v = seen_x, seen_y
        # Fixed point of distortion(u, v) = seen; it contracts over the camera's field of view.
        for _ in range(ITERATIONS):
            r = u * u + v * v
            inverse = (1 + ((k6 * r + k5) * r + k4) * r) / (1 + ((k3 * r + k2) * r + k1) * r)
            shift_u = 2 * p1 * u * v + p2 * (r + 2 * u * u)
            shift_v = p1 * (r + 2 * v * v) + 2 * p2 * u * v
            u, v = (seen_x - shift_u) * inverse, (seen_y - shift_v) * inverse
        return u * self.focal[0] + self.centre[0], v * self.focal[1] + self.centre[1]
