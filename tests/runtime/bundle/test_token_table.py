"""Token embeddings in six bits: as the layout says, near what they stand for, and read by row."""

import numpy as np
import pytest

from runtime.bundle.token_table import TokenTable, restored_rows, stored_rows, stored_width


def rows(count, width, seed=0):
    return np.random.default_rng(seed).normal(0, 0.02, (count, width)).astype(np.float32)


def test_six_bits_are_read_bit_by_bit():
    stored = stored_rows(rows(3, 64), "six_bits")
    assert stored.shape == (3, 52)
    expected = np.zeros((3, 64))
    for row in range(3):
        for block in range(2):
            piece = stored[row, block * 26 : block * 26 + 26].tobytes()
            scale = np.frombuffer(piece[24:], "<f2")[0]
            bits = int.from_bytes(piece[:24], "little")
            for place in range(32):
                value = (bits >> (6 * place)) & 0b111111
                expected[row, 32 * block + place] = (value - 32) * np.float32(scale)
    assert np.array_equal(restored_rows(stored, 64), expected.astype(np.float32))


@pytest.mark.parametrize("width", [32, 70, 3584])
def test_no_value_moves_by_more_than_half_a_step(width):
    given = rows(20, width)
    found = restored_rows(stored_rows(given, "six_bits"), width)
    assert found.shape == given.shape
    padded = np.pad(np.abs(given), ((0, 0), (0, -width % 32))).reshape(20, -1, 32)
    step = np.repeat(padded.max(axis=2) / 31, 32, axis=1)[:, :width]
    assert (np.abs(found - given) <= 0.52 * step + 1e-6).all()
    assert np.linalg.norm(found - given) / np.linalg.norm(given) < 0.025


def test_what_is_zero_or_next_to_nothing_stays_so():
    given = np.zeros((2, 64), np.float32)
    given[1] = 1e-9
    assert np.abs(restored_rows(stored_rows(given, "six_bits"), 64)).max() <= 1e-9


@pytest.mark.parametrize("kind", ["float32", "float16", "six_bits"])
def test_a_table_gives_the_rows_of_tokens_and_knows_its_size(kind):
    given = rows(10, 64)
    stored = stored_rows(given, kind)
    assert stored.shape == (10, stored_width(64, kind))
    table = TokenTable(stored, 64)
    found = table[np.array([7, 0, 7])]
    assert found.dtype == np.float32
    assert np.array_equal(found, restored_rows(stored, 64)[[7, 0, 7]])
    assert table.holds(10) and not table.holds(11)
    assert not TokenTable(stored, 96).holds(10)
