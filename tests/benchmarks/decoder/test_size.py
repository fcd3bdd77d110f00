"""The formula beside what was measured: errors, and whether they are small enough."""

import json

import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")

from benchmarks.decoder.size import (
    CONTEXT,
    Measured,
    compare,
    devices_sheet,
    main,
    result,
    shares_elsewhere,
    size_of,
)
from export.random.shapes import SHAPES
from runtime.sizing.devices import DEVICES
from runtime.sizing.prediction import Reach

TINY, SMALL = (size_of(SHAPES[shape].decoder) for shape in ("tiny", "0.5b"))


def setting(shape, threads, size, bandwidth, operations, peaks=Reach(1e10, 1e11), bits=4.5):  # noqa: B008
    """A decoder that reaches these shares of the peaks, by hand."""
    weights = size.weights + size.head
    keys = CONTEXT * 2 * size.layers * size.kv_heads * size.head_dim * 4
    token = (weights * bits / 8 + keys) / (bandwidth * peaks.bandwidth)
    attended = CONTEXT * (CONTEXT + 1) // 2
    work = 2 * CONTEXT * size.weights + 4 * size.layers * attended * size.heads * size.head_dim
    prefill = work / (operations * peaks.operations)
    return Measured(shape, threads, size, bits, peaks, prefill, token)


def test_a_share_is_of_bytes_by_a_token_and_of_operations_by_a_prefill():
    shares = setting("0.5b", 1, SMALL, 0.5, 0.8).shares
    assert shares.bandwidth == pytest.approx(0.5)
    assert shares.operations == pytest.approx(0.8)


def test_a_prediction_is_made_of_what_others_reached_with_as_many_threads():
    settings = [
        setting("0.5b", 1, SMALL, 0.5, 0.8),
        setting("3b", 1, SMALL, 0.6, 0.9),
        setting("7b", 1, SMALL, 0.7, 0.4),
        setting("0.5b", 2, SMALL, 0.1, 0.1),
    ]
    taken = shares_elsewhere(settings[0], settings)
    assert (taken.bandwidth, taken.operations) == (pytest.approx(0.65), pytest.approx(0.65))
    alone = shares_elsewhere(settings[3], settings)
    assert (alone.bandwidth, alone.operations) == (pytest.approx(0.6), pytest.approx(0.8))


@pytest.mark.parametrize(("other", "met"), [(0.6, True), (0.42, True), (0.8, False), (0.35, False)])
def test_an_error_counts_in_either_direction(other, met):
    """A share of 0.5 taken for another gives a time of 0.5 / other."""
    settings = [setting("a", 1, SMALL, 0.5, 0.5), setting("b", 1, SMALL, other, other)]
    first, second = list(compare(settings))[:2]
    assert [first.error, second.error] == pytest.approx(2 * [0.5 / other - 1])
    told = result(settings, 1)
    assert [found.is_met for found in told.findings[:2]] == [met, met]
    assert told.sheets[1].rows[0][3] == pytest.approx(100 * (0.5 / other - 1))


def test_every_device_has_a_row_for_each_shape_and_none_where_it_does_not_fit():
    rows = {row[0]: row for row in devices_sheet().rows}
    assert len(rows) == 2 * len(DEVICES)
    assert rows["Jetson Orin Nano 8GB, 7b"][3:7] == (None,) * 4
    assert all(value > 0 for value in rows["Jetson Thor T5000, 7b"][1:7])


def test_the_command_measures_with_one_thread_and_with_two(tmp_path, monkeypatch):
    for name, size in {"SIDE": 64, "TALL": 128, "WIDE": 32}.items():
        monkeypatch.setattr(f"benchmarks.instruments.peaks.{name}", size)
    file = tmp_path / "size.json"
    assert main(["--shape", "tiny", "--rounds", "1", "--json", str(file)]) in (0, 1)
    rows = json.loads(file.read_text())["sheets"][1]["rows"]
    assert [row[0].partition(", p")[0].partition(", a")[0] for row in rows] == [
        *("tiny, 1", "tiny, 1", "tiny, 2", "tiny, 2")
    ]
    assert all(row[1] > 0 and row[2] > 0 for row in rows)
