"""What a device would do: sizes against the exporter's, the formula against sums by hand."""

from math import prod

import pytest

from runtime.check import main
from runtime.errors import RuntimeFault
from runtime.sizing.devices import DEVICES, device_named
from runtime.sizing.prediction import CONTEXTS, SHOWN, STEP_TOKENS, Reach, predict
from runtime.sizing.workload import (
    DECODERS,
    fixed_memory,
    vision_operations,
    vision_weights,
    vjepa_operations,
)


@pytest.mark.parametrize("shape", DECODERS)
def test_sizes_are_those_that_are_exported(shape):
    shapes = pytest.importorskip("export.random.shapes", reason="needs the extra 'export'")
    geometry = shapes.SHAPES[shape].decoder
    size = DECODERS[shape]
    tensors = geometry.shapes()
    linear = sum(prod(s) for name, s in tensors.items() if name.endswith("_proj.weight"))
    assert size.weights == linear
    assert size.head == prod(tensors["embed_tokens.weight"])
    assert size.tied == geometry.tied == ("lm_head.weight" not in tensors)
    tower = shapes.SHAPES[shape].vision.shapes()
    matrices = {name: prod(s) for name, s in tower.items() if len(s) > 1}
    merger = sum(count for name, count in matrices.items() if "merger" in name)
    assert vision_weights(size.width) == (sum(matrices.values()) - merger, merger)


def test_operations_are_those_of_the_design():
    """Estimated apart from this code: V-JEPA 1.58e12 a pair, vision 0.56, prefill 0.60 and 1.41."""
    assert vjepa_operations(read=8) == pytest.approx(1.58e12, rel=0.01)
    assert vision_operations(2048, 108) == pytest.approx(0.56e12, rel=0.02)
    assert DECODERS["3b"].operations(108, 0) == pytest.approx(0.60e12, rel=0.01)
    assert DECODERS["7b"].operations(108, 0) == pytest.approx(1.41e12, rel=0.01)


@pytest.mark.parametrize("read", [2, 8])
def test_operations_of_vjepa_are_those_that_pytorch_counts(read):
    """At its real size, over tensors without numbers."""
    torch = pytest.importorskip("torch", reason="needs the extra 'export'")
    from torch.utils.flop_counter import FlopCounterMode

    from export.modules.vjepa import VJepaEncoder, VJepaGeometry, VJepaGraph

    def places(count):
        return torch.zeros(count, dtype=torch.int64)

    with torch.device("meta"):
        graph = VJepaGraph(VJepaEncoder(VJepaGeometry(768, 12)))
        frames, shares = torch.zeros(2, 252, 336, 3, dtype=torch.uint8), torch.zeros(384)
        resized = (places(768), shares) * 2
        turned = (torch.zeros(8, 24 * 24, 64),) * 2
        with FlopCounterMode(display=False) as counter:
            graph(frames, places(16).view(8, 2), *resized, *turned, places(read))
    assert vjepa_operations(read) == counter.get_total_flops()


def test_a_step_reads_so_few_tubelets_that_6_percent_are_saved():
    assert 1 - vjepa_operations() / vjepa_operations(read=8) == pytest.approx(0.06, abs=0.005)


def test_a_run_of_many_tokens_is_as_many_runs_of_one():
    size = DECODERS["0.5b"]
    apart = sum(size.operations(1, past) for past in range(10, 17))
    assert size.operations(7, 10) == apart
    assert size.operations(1, 0, 3) - size.operations(1, 0) == 6 * 151936 * 896


def test_memory_is_what_the_exporter_computes_of_its_shapes():
    """A 7b bundle for CUDA with two contexts of 2,048 tokens: 6.78 GB (docs/results.md)."""
    size = DECODERS["7b"]
    assert fixed_memory(size) + 2 * 2048 * size.row() == pytest.approx(6.78e9, rel=0.01)


def test_the_scarcer_of_two_decides():
    reach = Reach(bandwidth=10.0, operations=100.0)
    assert reach.seconds(operations=500.0, read=20.0) == 5.0
    assert reach.seconds(operations=100.0, read=20.0) == 2.0


def test_a_token_is_bound_by_what_has_to_be_read():
    """By hand: 7e9 weights of 4.5 bits and 2,160 tokens, at 70 % of 204.8 GB/s."""
    read = 7.07e9 * 4.5 / 8 + 2160 * 2 * 28 * 4 * 128 * 2
    said = predict(device_named("jetson  agx orin 64gb"), "7b")
    assert said.tokens == pytest.approx(0.7 * 204.8e9 / read, rel=0.005)
    # 42.5 TFLOP/s, 45 % of them, for 2.13 a pair: about 9 pairs, as was estimated apart; a block
    # of V-JEPA for what is read of it alone makes that 2.04.
    assert said.pairs == pytest.approx(9 * 2.13 / 2.04, rel=0.02)


def test_what_does_not_fit_is_said():
    assert predict(device_named("Jetson Orin Nano 8GB"), "7b").line.startswith("7b: does not fit")
    whole = predict(device_named("Jetson Orin Nano 8GB"), "3b")
    room = 6e9 - fixed_memory(DECODERS["3b"])
    row = 2 * 36 * 2 * 128 * 2
    assert whole.window == int(room / (CONTEXTS * STEP_TOKENS * row)) > 30


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_the_table_is_sound(device):
    assert 8e9 <= device.memory <= 128e9 and 60e9 <= device.bandwidth <= 1e12
    assert 5e12 <= device.operations <= 300e12 and device.source
    assert device_named(device.name.upper()) is device


def test_names_are_used_once():
    assert len({device.name for device in DEVICES}) == len(DEVICES)


def test_the_check_says_it_before_anyone_buys(capsys):
    assert main(["--device", "Jetson AGX Orin 64GB"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Jetson AGX Orin 64GB: 64 GB, 205 GB/s, 42 TFLOP/s")
    assert [line.partition(":")[0] for line in lines[1:3]] == list(SHOWN)
    assert "no such device was measured" in lines[3]


def test_an_unknown_device_is_one_line_that_lists_them(capsys):
    with pytest.raises(RuntimeFault, match="there are Jetson Orin Nano 8GB"):
        device_named("abacus")
    assert main(["--device", "abacus"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: --device abacus") and said.count("\n") == 1


@pytest.mark.parametrize("rest", [["BUNDLE"], ["--recording", "R"], ["--json"], ["--strict"]])
def test_a_device_is_asked_about_alone(rest, capsys):
    with pytest.raises(SystemExit):
        main(["--device", "Jetson Thor T5000", *rest])
    assert capsys.readouterr().err.startswith("error: ")
