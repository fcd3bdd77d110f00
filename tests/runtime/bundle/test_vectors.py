"""Reference vectors: what is kept of an output, what is refused, what is found of a difference."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.bundle import vectors as kept
from runtime.bundle.names import VECTORS_FILE
from runtime.bundle.opening import Bundle
from runtime.bundle.vectors import (
    MOST_VALUES,
    ReferenceVectors,
    Sample,
    encoded_vectors,
    places,
    read_vectors,
)
from runtime.errors import BundleError
from runtime.run.command_line import MINI


@pytest.fixture(scope="module")
def manifest():
    return Bundle.open(MINI).manifest


@pytest.fixture(scope="module")
def vectors(manifest):
    return read_vectors(MINI, manifest)


@pytest.mark.parametrize("size", [1, MOST_VALUES, MOST_VALUES + 1, 3 * 108 * 3584, 1 << 20])
def test_the_kept_values_are_spread_over_all(size):
    found = places(size)
    assert len(found) == len(set(found.tolist())) == min(size, MOST_VALUES)
    assert found.min() >= 0
    assert found.max() < size
    counts, _ = np.histogram(found, bins=16, range=(0, size))
    if size >= MOST_VALUES:
        assert counts.min() > MOST_VALUES / 16 * 0.8


def test_a_row_or_a_column_that_is_wrong_is_found():
    right = np.random.default_rng(0).normal(size=(1024, 768)).astype(np.float32)
    sample = Sample.of(right, 0.01)
    assert sample.difference(right) == 0
    for piece in (np.s_[5:, 700:], np.s_[512:544], np.s_[:, ::64]):
        wrong = right.copy()
        wrong[piece] += 1
        assert sample.difference(wrong) == pytest.approx(1, abs=1e-6)


def test_what_is_no_number_is_infinitely_far_wherever_it_stands():
    right = np.ones((100, 1000), np.float32)
    sample = Sample.of(right, 0.01)
    place = int(np.setdiff1d(np.arange(right.size), places(right.size))[0])
    for value in (np.nan, np.inf):
        wrong = right.copy()
        wrong.flat[place] = value
        assert sample.difference(wrong) == np.inf
    assert sample.difference(right[:99]) == np.inf


def test_an_engine_in_16_bits_is_allowed_a_share_of_the_size():
    sample = Sample.of(np.full(10, 3.0, np.float32), 0.01)
    assert sample.allowed(0.0) == 0.01
    assert sample.allowed(0.05) == pytest.approx(0.15)


def test_they_read_back_and_are_the_same_bytes_again(vectors, manifest, tmp_path):
    content = encoded_vectors(vectors)
    assert content == (MINI / VECTORS_FILE).read_bytes()
    (tmp_path / VECTORS_FILE).write_bytes(content)
    again = read_vectors(tmp_path, manifest)
    for name in kept.INPUTS:
        np.testing.assert_array_equal(getattr(again, name), getattr(vectors, name))
    assert again.samples.keys() == vectors.samples.keys() == set(kept.SEALED)


def altered(vectors: ReferenceVectors, change: str) -> bytes:
    sample = vectors.samples[kept.GAZED]
    nan = replace(sample, values=np.full_like(sample.values, np.nan))
    changes = {
        "size": {"live": vectors.live[:, :-1]},
        "type": {"visual": vectors.visual.astype(np.float32)},
        "token": {"text": vectors.text + 1_000_000},
        "value": {"samples": {**vectors.samples, kept.GAZED: nan}},
        "bound": {"samples": {**vectors.samples, kept.GAZED: replace(sample, bound=-1.0)}},
        "count": {"samples": {**vectors.samples, kept.GAZED: replace(sample, size=1)}},
    }
    return encoded_vectors(replace(vectors, **changes[change]))


@pytest.mark.parametrize("change", ["size", "type", "token", "value", "bound", "count"])
def test_vectors_of_another_model_are_refused(vectors, manifest, tmp_path, change):
    (tmp_path / VECTORS_FILE).write_bytes(altered(vectors, change))
    with pytest.raises(BundleError, match=r"no reference vectors: .*export it again"):
        read_vectors(tmp_path, manifest)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", None])
def test_a_file_that_is_no_archive_is_refused(manifest, tmp_path, content):
    whole = (MINI / VECTORS_FILE).read_bytes()
    (tmp_path / VECTORS_FILE).write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(BundleError, match="no reference vectors"):
        read_vectors(tmp_path, manifest)
