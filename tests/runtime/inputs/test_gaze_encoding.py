"""The encoding against the formula written out entry by entry."""

import math

import numpy as np

from devices.samples import Fixation
from runtime.inputs.gaze_encoding import gaze_encoding


def fixation(x, y):
    return Fixation(0, 0, x, y, 0, 1, "file", whole=True)


def written_out(x, y):
    """Width 8: half of it, 4 entries, for x and y each; frequencies 1 and 1 / 100."""
    return [
        math.sin(x), math.cos(x), math.sin(x / 100.0), math.cos(x / 100.0),
        math.sin(y), math.cos(y), math.sin(y / 100.0), math.cos(y / 100.0),
    ]  # fmt: skip


def test_one_fixation():
    np.testing.assert_allclose(
        gaze_encoding([fixation(0.3, 0.8)], 8), written_out(0.3, 0.8), atol=1e-7
    )


def test_overlapping_fixations_are_averaged():
    both = gaze_encoding([fixation(0.1, 0.9), fixation(0.7, 0.2)], 8)
    mean = np.mean([written_out(0.1, 0.9), written_out(0.7, 0.2)], axis=0)
    np.testing.assert_allclose(both, mean, atol=1e-7)


def test_no_active_fixation_is_zero():
    assert not gaze_encoding([], 256).any()


def test_type_and_width():
    encoding = gaze_encoding([fixation(0.5, 0.5)], 256)
    assert encoding.dtype == np.float32
    assert encoding.shape == (256,)
