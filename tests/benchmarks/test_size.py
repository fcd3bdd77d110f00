"""The formula beside what was measured: errors, and whether they are small enough."""

import json

import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")

from benchmarks.size import Compared, compare, devices_sheet, main, result
from export.random.shapes import SHAPES
from runtime.sizing.devices import DEVICES
from runtime.sizing.prediction import CPU_SHARES, Reach

TINY = SHAPES["tiny"].decoder


class FakeDecoder:
    """Weights of a known size, and nothing to do."""

    data_bytes = 10**9

    def prefill(self):
        pass

    def decode(self):
        pass


def test_a_prediction_is_made_of_what_was_measured_of_the_machine():
    """Bandwidth decides where operations are plenty: 1 GB at 56 % of 10 GB/s, and some keys."""
    peaks = Reach(bandwidth=10e9, operations=1e18)
    prefill, token = compare("tiny, 1", FakeDecoder(), TINY, peaks, 1)
    keys = 512 * 2 * TINY.layers * TINY.kv_heads * TINY.head_dim * 4
    assert token.predicted == pytest.approx((1e9 + keys) / 10e9 / CPU_SHARES.bandwidth)
    assert prefill.predicted == pytest.approx(4e9 / 10e9 / CPU_SHARES.bandwidth, rel=0.01)


@pytest.mark.parametrize(
    ("predicted", "met"), [(1.2, True), (0.8, True), (1.3, False), (0.7, False)]
)
def test_an_error_counts_in_either_direction(predicted, met):
    told = result([Compared("x", 1.0, predicted)], ["tiny"], 1)
    assert told.is_met is met
    assert told.sheets[1].rows[0][3] == pytest.approx(100 * (predicted - 1))


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
