"""What V-JEPA's graph is told of a clip: which frame stands where, which tubelets are read."""

import numpy as np
import pytest

from runtime.bundle import names
from runtime.bundle.manifest import VJepaShape
from runtime.inputs.clip_layout import clip_layout, wanted_tubelets

SHAPE = VJepaShape(frames=16, tubelets=8, side=4, width=64)


def test_two_frames_fill_a_clip_the_second_fifteen_times():
    order = clip_layout(SHAPE, (2, 56, 84, 3), 1)[names.FRAME_ORDER]
    assert order.tolist() == [0] + [1] * 15


def test_sixteen_frames_stand_where_they_are():
    order = clip_layout(SHAPE, (16, 56, 84, 3), 8)[names.FRAME_ORDER]
    assert order.tolist() == list(range(16))


@pytest.mark.parametrize(
    ("steps", "read"),
    [(1, [3, 4]), (2, [1, 2, 5, 6]), (3, [0, 1, 3, 4, 6, 7]), (4, range(8)), (8, range(8))],
)
def test_the_tubelets_of_a_clip_are_those_between_which_pytorch_interpolates(steps, read):
    """A tubelet is read if another value of it changes what PyTorch makes of all."""
    torch = pytest.importorskip("torch", reason="needs the extra 'export'")
    marks = torch.eye(8).unsqueeze(0)  # a channel for each tubelet
    mixed = torch.nn.functional.interpolate(marks, steps, mode="linear", align_corners=False)
    assert np.flatnonzero(mixed[0].sum(1).numpy()).tolist() == list(read)
    assert wanted_tubelets(SHAPE, steps).tolist() == list(read)


def test_a_frame_is_resized_to_the_pixels_of_the_encoder():
    layout = clip_layout(SHAPE, (2, 56, 84, 3), 1)
    assert SHAPE.pixels == 64
    for places, shares, length in (
        (names.ROW_PIXELS, names.ROW_SHARES, 56),
        (names.COLUMN_PIXELS, names.COLUMN_SHARES, 84),
    ):
        assert layout[places].shape == (128,) and layout[shares].shape == (64,)
        assert layout[places].min() == 0 and layout[places].max() == length - 1
