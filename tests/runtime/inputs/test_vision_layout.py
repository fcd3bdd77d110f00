"""Windows of a small grid against a layout written out by hand."""

import numpy as np

from runtime.bundle.manifest import VisionShape
from runtime.inputs.vision_layout import vision_layout

SHAPE = VisionShape(patch=14, merge=2, temporal_patch=2, window=56, head_dim=8)


def test_windows_of_a_2_by_3_grid():
    """Windows of 4 x 4 patches hold 2 x 2 tokens: one full window, one half empty."""
    layout = vision_layout(SHAPE, 2, 3)
    assert layout.order.shape == (2, 16)
    # Patches are numbered by token: token 0 holds 0-3, token 1 holds 4-7, token 3 (below 0) 12-15.
    assert layout.order[0].tolist() == [0, 1, 4, 5, 2, 3, 6, 7, 12, 13, 16, 17, 14, 15, 18, 19]
    held = layout.mask[1] == 0
    assert held.reshape(4, 4).tolist() == [[True, True, False, False]] * 4
    assert layout.order[1][held].tolist() == [8, 9, 10, 11, 20, 21, 22, 23]


def test_every_patch_finds_its_place_again():
    layout = vision_layout(SHAPE, 5, 7)
    assert np.array_equal(layout.order.reshape(-1)[layout.place], np.arange(5 * 7 * 4))
    assert (layout.mask == 0).sum() == 5 * 7 * 4


def test_rotary_rows_turn_with_row_and_column():
    layout = vision_layout(SHAPE, 2, 3)
    row, column = 3, 4  # of the last patch of token (1, 2), its upper row: 2 + 1, 4 + 0
    angles = [row * 1.0, row * 0.01, column * 1.0, column * 0.01] * 2
    patch = (1 * 3 + 2) * 4 + 2
    np.testing.assert_allclose(layout.cos[patch], np.cos(angles), atol=1e-6)
    np.testing.assert_allclose(layout.sin[patch], np.sin(angles), atol=1e-6)
