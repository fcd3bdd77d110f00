"""What V-JEPA's graph is told of a clip: which frame stands where, which tubelets are read."""

import math

import numpy as np
import pytest

from runtime.bundle import names
from runtime.bundle.manifest import VJepaShape
from runtime.inputs.clip_layout import clip_layout, clip_rotary, wanted_tubelets

SHAPE = VJepaShape(frames=16, tubelets=8, side=4, width=64)


def test_two_frames_fill_a_clip_the_second_fifteen_times():
    order = clip_layout(SHAPE, (2, 56, 84, 3), 1)[names.FRAME_ORDER]
    assert order.tolist() == [[0, 1]] + [[1, 1]] * 7


def test_sixteen_frames_stand_where_they_are():
    order = clip_layout(SHAPE, (16, 56, 84, 3), 8)[names.FRAME_ORDER]
    assert order.tolist() == [[place, place + 1] for place in range(0, 16, 2)]


def test_a_short_clip_begins_as_a_whole_one_and_is_read_whole():
    whole, short = (clip_layout(shape, (2, 56, 84, 3), 1) for shape in (SHAPE, SHAPE.shortened(2)))
    for told in (names.FRAME_ORDER, names.CLIP_COS, names.CLIP_SIN):
        assert np.array_equal(short[told], whole[told][:2])
    assert short[names.WANTED_TUBELETS].tolist() == [0, 1]
    assert SHAPE.shortened(9) == SHAPE


def test_every_pair_of_a_head_turns_by_the_place_of_its_token_on_one_axis():
    cos, sin = clip_rotary(SHAPE)
    assert cos.shape == sin.shape == (8, 16, 64)
    for tubelet, row, column in ((0, 0, 0), (1, 0, 0), (0, 1, 3), (7, 3, 2)):
        places = (tubelet, row * 15 / 3, column * 15 / 3)  # 4 cells as far apart as 16
        for dim in range(64):
            axis, pair = divmod(dim // 2, 10)
            angle = places[axis] / 10000.0 ** (pair / 10) if axis < 3 else 0.0
            token = tubelet, 4 * row + column, dim
            assert cos[token] == pytest.approx(math.cos(angle), abs=1e-6)
            assert sin[token] == pytest.approx(math.sin(angle), abs=1e-6)


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
