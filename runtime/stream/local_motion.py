"""Where gaze is and how fast it moves at one sample: a quadratic through the samples about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devices.clock import NANOSECONDS
from devices.samples import GazeSample


@dataclass(frozen=True, slots=True)
class LocalMotion:
    """Smoothed place (degrees, from the frame's top left) and velocity (degrees per second)."""

    x: float
    y: float
    across: float
    down: float


def local_motion(
    samples: Sequence[GazeSample], centre: int, field: tuple[float, float]
) -> LocalMotion:
    """The least-squares quadratic in time through `samples`, at the one with index `centre`.

    `samples`: at least three, of rising times. `field`: the camera's field of view in degrees.
    For evenly spaced samples this is the Savitzky-Golay filter of second order.
    """
    origin = samples[centre]
    s1 = s2 = s3 = s4 = 0.0
    x0 = x1 = x2 = y0 = y1 = y2 = 0.0
    for gaze in samples:
        time = (gaze.captured_at - origin.captured_at) / NANOSECONDS
        square = time * time
        x, y = gaze.x - origin.x, gaze.y - origin.y
        s1 += time
        s2 += square
        s3 += square * time
        s4 += square * square
        x0 += x
        x1 += x * time
        x2 += x * square
        y0 += y
        y1 += y * time
        y2 += y * square
    # Cofactors of the normal equations' matrix [[n, s1, s2], [s1, s2, s3], [s2, s3, s4]].
    count = len(samples)
    c00, c01, c02 = s2 * s4 - s3 * s3, s2 * s3 - s1 * s4, s1 * s3 - s2 * s2
    c11, c12 = count * s4 - s2 * s2, s1 * s2 - count * s3
    determinant = count * c00 + s1 * c01 + s2 * c02
    wide, high = field[0] / determinant, field[1] / determinant
    return LocalMotion(
        origin.x * field[0] + (c00 * x0 + c01 * x1 + c02 * x2) * wide,
        origin.y * field[1] + (c00 * y0 + c01 * y1 + c02 * y2) * high,
        (c01 * x0 + c11 * x1 + c12 * x2) * wide,
        (c01 * y0 + c11 * y1 + c12 * y2) * high,
    )
