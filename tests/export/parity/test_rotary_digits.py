"""Rotary rows are compared as finely as processors agree on a power, and no coarser."""

import numpy as np
import pytest

from export.parity.reading.positions import compare_positions


def rows(shape, positions, moved):
    """In float64, each rate then moved by `moved` units in the last place of a float32."""
    half = shape.head_dim // 2
    rates = (shape.rope_theta ** -(np.arange(half) / half)).astype(np.float32)
    for _ in range(abs(moved)):
        rates = np.nextafter(rates, np.float32(np.sign(moved) * np.inf), dtype=np.float32)
    axis = np.repeat(np.arange(3), shape.mrope_section)
    angles = (positions[axis].T * rates).astype(np.float32)
    return np.cos(angles), np.sin(angles)


@pytest.fixture
def figures(tiny_folder, tiny_reference, monkeypatch):
    """What the comparison finds where our rates are `moved`."""
    from runtime.bundle.opening import Bundle

    manifest = Bundle.open(tiny_folder).manifest

    def compared(moved):
        monkeypatch.setattr(
            "export.parity.reading.positions.rotary_rows",
            lambda shape, positions: rows(shape, positions, moved),
        )
        parts = manifest.geometry.decoder, manifest.positions, manifest.prompt
        return list(compare_positions(*parts, tiny_reference.qwen))

    return compared


@pytest.mark.parametrize("moved", [-1, 0, 1])
def test_a_power_that_is_off_by_its_last_digit_is_no_error_of_reading(figures, moved):
    assert all(figure.holds for figure in figures(moved))


@pytest.mark.parametrize("moved", [-20, 20])
def test_one_that_is_off_by_more_is(figures, moved):
    (failed,) = [figure for figure in figures(moved) if not figure.holds]
    assert "rotary rows" in failed.case
