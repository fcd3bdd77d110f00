"""Undistorted points, against OpenCV's published distortion formula."""

import numpy as np
import pytest

from devices.neon.undistortion import Lens

MATRIX = [[889.7, 0.0, 817.1], [0.0, 889.5, 612.9], [0.0, 0.0, 1.0]]
NEON = [-0.1311, 0.1089, -0.00015, -0.00025, -2.8e-05, 0.1715, 0.0502, 0.0256]


def distorted(point, coefficients):
    """The formula as in the documentation of OpenCV's calib3d."""
    k1, k2, p1, p2, k3, k4, k5, k6 = coefficients
    x, y = (point - np.array([817.1, 612.9])) / np.array([889.7, 889.5])
    r2 = x**2 + y**2
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    v = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return np.array([u * 889.7 + 817.1, v * 889.5 + 612.9])


@pytest.mark.parametrize("x", [60.0, 200.0, 400.0, 817.1, 1300.0, 1600.0])
@pytest.mark.parametrize("y", [250.0, 500.0, 612.9, 900.0, 1000.0])
def test_distorting_the_result_gives_the_point_back(x, y):
    lens = Lens.from_calibration(MATRIX, NEON)
    assert np.allclose(distorted(np.array(lens.undistorted(x, y)), NEON), [x, y], atol=0.01)


@pytest.mark.parametrize("corner", [(0.0, 0.0), (1600.0, 0.0), (0.0, 1200.0), (-500.0, 5000.0)])
def test_beyond_the_reach_of_the_model_a_point_stays_finite_and_keeps_its_direction(corner):
    """The distorted radius has its maximum (1.08 focal lengths) inside Neon's frame."""
    centre = np.array([817.1, 612.9])
    seen = (np.array(corner) - centre) / np.array([889.7, 889.5])
    lens = Lens.from_calibration(MATRIX, NEON)
    found = (np.array(lens.undistorted(*corner)) - centre) / np.array([889.7, 889.5])
    assert np.hypot(*found) == pytest.approx(2.27, abs=0.05)
    assert found @ seen / np.hypot(*found) / np.hypot(*seen) > 0.9999


def test_a_lens_without_distortion_changes_nothing():
    lens = Lens.from_calibration(MATRIX, [0.0] * 8)
    assert lens.undistorted(123.0, 456.0) == pytest.approx((123.0, 456.0), abs=1e-4)


def test_distortion_matters_at_the_edge():
    x, _ = Lens.from_calibration(MATRIX, NEON).undistorted(60.0, 250.0)
    assert abs(x - 60.0) > 20
