"""The position rule against tables written out by hand."""

import numpy as np
import pytest

from runtime.bundle.manifest import DecoderShape, PositionRule
from runtime.inputs.positions import rotary_rows, step_positions, text_after_video, text_positions

RULE = PositionRule(tokens_per_second=2)


def test_positions_of_a_clip_of_two_steps_on_a_2_by_3_grid():
    first = step_positions(RULE, 4, 0, 2, 3)
    second = step_positions(RULE, 4, 1, 2, 3)
    assert first.tolist() == [[4, 4, 4, 4, 4, 4], [4, 4, 4, 5, 5, 5], [4, 5, 6, 4, 5, 6]]
    assert second.tolist() == [[6, 6, 6, 6, 6, 6], [4, 4, 4, 5, 5, 5], [4, 5, 6, 4, 5, 6]]


@pytest.mark.parametrize(
    ("start", "steps", "height", "width", "expected"),
    [
        (4, 1, 2, 3, 7),  # the widest column is 6
        (4, 2, 2, 3, 7),  # the last step's time is 6
        (4, 3, 2, 3, 9),  # the last step's time is 8
        (15, 4, 24, 32, 47),  # columns reach 46, time only 21
        (15, 15, 9, 12, 44),  # time reaches 43
        (15, 0, 9, 12, 15),  # no video
    ],
)
def test_text_follows_the_largest_position_on_any_axis(start, steps, height, width, expected):
    assert text_after_video(RULE, start, steps, height, width) == expected


def test_tokens_per_second_is_the_checkpoints():
    fast = PositionRule(tokens_per_second=25)
    assert step_positions(fast, 3, 2, 1, 1).tolist() == [[53], [3], [3]]
    assert text_after_video(fast, 3, 3, 1, 1) == 54


def test_text_is_the_same_on_every_axis():
    assert text_positions(7, 3).tolist() == [[7, 8, 9]] * 3


def test_each_section_of_the_rotary_rows_turns_with_its_own_axis():
    shape = DecoderShape(1, 8, 1, 1, 8, 10, rope_theta=10000.0, mrope_section=(1, 1, 2))
    cos, sin = rotary_rows(shape, np.array([[5.0], [7.0], [11.0]], np.float32))
    angles = [5.0 * 1.0, 7.0 * 0.1, 11.0 * 0.01, 11.0 * 0.001]
    np.testing.assert_allclose(cos[0], np.cos(angles), atol=1e-6)
    np.testing.assert_allclose(sin[0], np.sin(angles), atol=1e-6)
