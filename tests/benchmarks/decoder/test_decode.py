"""The decode benchmark: what it times computes the same, and the arithmetic of its table."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")

from benchmarks.decoder.decode import COLUMNS, arguments, decoders, main, sheet
from benchmarks.instruments.decoders.fidelity import Fidelity, reference_logits
from benchmarks.instruments.decoders.measured import Measurement, targets
from benchmarks.instruments.decoders.rounds import DecoderLost, Rounds, Times, measure
from benchmarks.instruments.decoders.workload import (
    ANSWER,
    Workload,
    injected_layers,
    prefill,
    prefill_operations,
)
from benchmarks.instruments.peaks import Peaks
from export.random.shapes import SHAPES

TINY = SHAPES["tiny"].decoder
MOST_OFF = {  # of the logits, in percent
    "PyTorch bf16": 3,
    "int4, float": 45,
    "int4, int8": 45,
    "int8": 8,
    "float32": 0.1,
}


@pytest.fixture(scope="module")
def workload():
    return Workload.drawn(TINY, tokens=24, step=8)


@pytest.fixture(scope="module")
def reference(workload):
    return reference_logits(TINY, workload)


def test_all_decoders_compute_the_same(tmp_path, workload, reference):
    """Each follows the same answer behind the same context, as often as it is asked."""
    found = {}
    for decoder in decoders(tmp_path, TINY, workload, lambda said: None):
        assert prefill(decoder, workload) > 0
        first = decoder.follow()
        assert decoder.decode() > 0
        np.testing.assert_allclose(decoder.follow(), first, atol=1e-5)
        prefill(decoder, workload)
        np.testing.assert_allclose(decoder.follow(), first, atol=1e-5)
        assert first.shape == (ANSWER, TINY.vocabulary)
        found[decoder.name] = 100 * Fidelity.of(first, reference).error
    assert set(found) == set(MOST_OFF)
    assert all(found[name] <= most for name, most in MOST_OFF.items()), found
    assert found["int8"] < found["int4, int8"]


def test_fidelity_is_what_is_off_of_what_logits_differ_by():
    reference = np.array([[0.0, 2.0], [1.0, -1.0]], np.float32)
    assert Fidelity.of(reference + 7, reference) == Fidelity(0.0, 1.0)
    found = Fidelity.of(np.array([[0.0, 2.0], [-1.0, 1.0]], np.float32), reference)
    assert found == Fidelity(pytest.approx((4 / 2) ** 0.5), 0.5)


class FakeDecoder:
    """Takes as long as it is told to; notes what it is asked to do. `lasts`: so many tokens."""

    def __init__(self, name, prefill, decode, notes, lasts=10**6):
        self.name, self.stored = name, 1000
        self._spent, self._notes, self._lasts = (prefill, decode), notes, lasts

    def clear(self):
        self._notes.append(f"{self.name}: clear")

    def append(self, step):
        self._notes.append(f"{self.name}: {step}")
        return self._spent[0]

    def decode(self):
        self._lasts -= 1
        if not self._lasts:
            raise DecoderLost("it ran out")
        self._notes.append(f"{self.name}: token")
        return self._spent[1]

    def follow(self):
        return np.zeros((1, 2), np.float32)


def test_rounds_alternate_and_the_first_is_not_counted(workload):
    notes = []
    both = [FakeDecoder("a", 1.0, 0.5, notes), FakeDecoder("b", 3.0, 2.0, notes)]
    found = measure(both, workload, [8, 24], 2, 1)
    order = [note[0] for note in notes if note.endswith("clear")]
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found.times["a"] == {8: Times([1.0] * 2, [0.5] * 2), 24: Times([3.0] * 2, [0.5] * 2)}
    assert found.ratio("b", "a", "decode", 24) == 4.0
    assert notes[:7] == ["a: clear", "a: 0", "a: token", "a: token", "a: 1", "a: 2", "a: token"]


def test_a_decoder_that_is_lost_costs_the_others_nothing(workload):
    lost = FakeDecoder("b", 1.0, 1.0, [], lasts=5)
    found = measure([FakeDecoder("a", 1.0, 0.5, []), lost], workload, [24], 3, 2)
    assert found.lost == {"b": "it ran out"}
    assert set(found.times) == set(found.logits) == {"a"} and len(found.times["a"][24].decode) == 3


def measurement(errors=None, **decode_ms):
    """Every round of a decoder takes so long; prefill ten times as long."""
    names = {"torch": "PyTorch bf16", "int4_float": "int4, float", "int4_int8": "int4, int8"}
    times = {
        names.get(name, name): {
            512: Times([ms / 100 for ms in all_ms], [ms / 1000 for ms in all_ms])
        }
        for name, all_ms in decode_ms.items()
    }
    fidelity = {name: Fidelity((errors or {}).get(name, 0.1), 1.0) for name in times}
    stored = dict.fromkeys(times, 10**7)
    peaks = Peaks(bandwidth=1e10, operations=1e11)
    return Measurement(Rounds(times), stored, fidelity, {512: 10**9}, peaks)


def test_a_speed_is_the_median_of_paired_rounds():
    measured = measurement(
        torch=[10.0, 20.0, 90.0], int4_float=[2.0, 5.0, 30.0], int8=[1.0, 20.0, 45.0]
    )
    assert measured.speedup("int4, float", "decode", 512) == pytest.approx(4.0)
    assert measured.speedup("int8", "prefill", 512) == pytest.approx(2.0)
    assert measured.of_peak("int4, float", 512) == pytest.approx(1e9 / 0.05 / 1e11)
    assert measured.of_bandwidth("int4, float", 512) == pytest.approx(1e7 / 0.005 / 1e10)


def test_what_is_asked_depends_on_the_processor_and_on_the_peers_that_are_as_near():
    measured = measurement(
        {"peer of four": 0.1, "peer of eight": 0.05, "peer that is nearer": 0.01, "int8": 0.05},
        **{
            "torch": [20.0],
            "int4_float": [5.0],
            "int4_int8": [4.0],
            "int8": [10.0],
            "peer of four": [3.0],
            "peer of eight": [30.0],
            "peer that is nearer": [1.0],
        },
    )
    peers = {"peer of four": 4, "peer of eight": 8, "peer that is nearer": 4, "not there": 4}
    reached = {each.what: each for each in targets(measured, False, 512, peers)}
    assert reached["decode, int4, int8, times peer of four"].figure == pytest.approx(0.75)
    assert not reached["decode, int4, int8, times peer of four"].met
    assert reached["decode, int8, times peer of eight"].met
    assert not any("nearer" in what or "not there" in what for what in reached)
    assert reached["decode, int4, int8, of bandwidth"].figure == pytest.approx(0.25)
    assert reached["prefill, int4, int8, times PyTorch bf16"].least == 2.5
    with_amx = {each.what: each for each in targets(measured, True, 512, peers)}
    assert with_amx["prefill, int4, int8, times PyTorch bf16"].least == 1.0


def test_a_row_that_was_not_measured_says_why_and_has_no_figures():
    table = sheet(measurement(torch=[1.0], int8=[1.0]), 512, 1, {"a peer": "it is not installed"})
    assert table.rows[-1] == ("a peer: not measured: it is not installed", *[None] * 9)
    assert all(len(row) == len(COLUMNS) for row in table.rows)


def test_operations_are_those_of_every_product():
    tokens = 5
    products = 0
    for name, shape in TINY.shapes().items():
        last = name.startswith(f"layers.{TINY.layers - 1}.")
        needed = "qkv" if last else "qkvogud"
        if name.endswith("_proj.weight") and name.split(".")[-2][0] in needed:
            products += 2 * tokens * shape[0] * shape[1]
    attended = sum(range(1, tokens + 1)) * TINY.heads * TINY.head_dim * 2 * 2
    assert prefill_operations(TINY, tokens) == products + (TINY.layers - 1) * attended


def test_layers_are_injected_as_in_the_released_model():
    assert injected_layers(SHAPES["7b"].decoder) == (6, 13, 20)
    assert injected_layers(SHAPES["0.5b"].decoder) == (5, 11, 17)


@pytest.fixture
def small_peaks(monkeypatch):
    for name, size in {"SIDE": 64, "TALL": 128, "WIDE": 32}.items():
        monkeypatch.setattr(f"benchmarks.instruments.peaks.{name}", size)


def test_the_command_prints_and_writes(tmp_path, capsys, small_peaks):
    file = tmp_path / "decode.json"
    sizes = ["--shape", "tiny", "--depths", "16", "8", "--step", "8", "--rounds", "1"]
    assert main([*sizes, "--tokens", "1", "--json", str(file)]) == 0
    assert "decode, int4, float, of bandwidth" in capsys.readouterr().out
    content = json.loads(file.read_text())
    assert content["details"]["threads"] == 1
    assert [len(table["rows"]) for table in content["sheets"][:2]] == [5, 5]
    times = content["details"]["times"]
    assert all(len(times[name][depth]["decode"]) == 1 for name in times for depth in ("8", "16"))


def test_senseless_sizes_are_refused(capsys):
    for wrong, told in (
        (["--rounds", "0"], "at least 1"),
        (["--depths", "100"], "--depths are whole numbers of --step"),
    ):
        with pytest.raises(SystemExit):
            arguments(wrong)
        assert told in capsys.readouterr().err
