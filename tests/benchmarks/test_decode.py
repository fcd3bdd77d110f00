"""The decode benchmark: what it times computes the same, and the arithmetic of its table."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")

from benchmarks.decode import Measurement, Times, arguments, decoders, main, targets
from benchmarks.instruments.decoders import Workload, injected_layers, prefill_operations
from export.random.shapes import SHAPES

TINY = SHAPES["tiny"].decoder


def test_all_decoders_compute_the_same(tmp_path):
    """Each decodes the same token after the same context, as often as it is asked."""
    workload = Workload.drawn(TINY, tokens=24, step=8)
    logits = {}
    for decoder in decoders(tmp_path, TINY, workload, lambda said: None):
        decoder.prefill()
        logits[decoder.name] = decoder.decode()
        assert np.allclose(decoder.decode(), logits[decoder.name], atol=1e-5)
        decoder.prefill()
        assert np.allclose(decoder.decode(), logits[decoder.name], atol=1e-5)
    least = {"int4, float": 0.95, "int4, int8": 0.95, "int8": 0.998, "float32": 0.9995}
    reference = logits.pop("PyTorch bf16")
    assert set(logits) == set(least)
    for name, values in logits.items():
        assert values.shape == (TINY.vocabulary,)
        cosine = values @ reference / np.linalg.norm(values) / np.linalg.norm(reference)
        assert cosine >= least[name], name


def measurement(**decode_ms):
    """Every round of a decoder takes so long; prefill ten times as long."""
    times = {
        name.replace("_", " "): Times([ms / 100 for ms in rounds], [ms / 1000 for ms in rounds])
        for name, rounds in decode_ms.items()
    }
    times = {name.replace("int4 ", "int4, "): value for name, value in times.items()}
    times["PyTorch bf16"] = times.pop("torch")
    return Measurement(times, {}, {}, operations=10**9, peak=10**11)


def test_a_speed_is_the_median_of_paired_rounds():
    measured = measurement(
        torch=[10.0, 20.0, 90.0],
        int4_float=[2.0, 5.0, 30.0],
        int4_int8=[2.0, 2.0, 2.0],
        int8=[1.0, 20.0, 45.0],
    )
    assert measured.speedup("int4, float", "decode") == pytest.approx(4.0)
    assert measured.speedup("int4, int8", "decode") == pytest.approx(10.0)
    assert measured.speedup("int8", "prefill") == pytest.approx(2.0)
    assert measured.of_peak("int4, float") == pytest.approx(1e9 / 0.05 / 1e11)
    plain = {target.what: target.met for target in targets(measured, has_amx=False)}
    assert list(plain.values()) == [True, True, False, False]
    assert len(targets(measured, has_amx=True)) == 5


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


def test_the_command_prints_and_writes(tmp_path, capsys):
    file = tmp_path / "decode.json"
    sizes = ["--shape", "tiny", "--context", "16", "--step", "8", "--rounds", "1", "--tokens", "1"]
    assert main([*sizes, "--json", str(file)]) == 0
    assert "decode, int4, float accumulation" in capsys.readouterr().out
    content = json.loads(file.read_text())["details"]
    assert content["threads"] == 1
    assert len(content["times"]) == 5
    assert all(len(times[stage]) == 1 for times in content["times"].values() for stage in times)


def test_senseless_sizes_are_refused(capsys):
    with pytest.raises(SystemExit):
        arguments(["--rounds", "0"])
    assert "at least 1" in capsys.readouterr().err
