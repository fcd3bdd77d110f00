"""Bundles of every precision, through the command line."""

import pytest

from export.__main__ import main
from runtime.bundle.opening import Bundle
from runtime.live import main as live


@pytest.fixture(scope="module")
def checkpoints(tiny_folder):
    beside = tiny_folder.with_name("tiny-checkpoints")
    files = ["--qwen", beside / "qwen", "--vjepa", beside / "vjepa.pt", "--gaze"]
    return [*map(str, [*files, beside / "gazeqwen.pt"]), "--vjepa-pixels", "64"]


def export(checkpoints, out, *more):
    return main([*checkpoints, "--live-grid", "3x4", "--out", str(out), "--name", "tiny", *more])


@pytest.mark.parametrize(
    "kind",
    [
        "int4",
        pytest.param("int4-mixed", marks=pytest.mark.long),
        pytest.param("int8", marks=pytest.mark.long),
        pytest.param("fp16", marks=pytest.mark.long),
    ],
)
def test_a_smaller_bundle_compares_with_pytorch_and_answers(
    kind, checkpoints, tiny_folder, tmp_path, capsys
):
    out = tmp_path / "bundle"
    assert export(checkpoints, out, "--quant", kind) == 0
    manifest = Bundle.open(out).manifest
    assert manifest.quantization.kind == kind
    assert set(manifest.quantization.errors) == {
        *(("q", "kv") if kind == "int4-mixed" else ("qkv",)),
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
        "lm_head",
    }
    decoder = [figure for figure in manifest.parity if figure.graph == "decoder"]
    logits = [figure for figure in decoder if figure.case.startswith("logits")]
    assert {"reading", "text", "pictures", "positions", "first layers"} <= {
        figure.graph for figure in manifest.parity
    }
    assert len(logits) == 2 and all(figure.holds for figure in logits)
    for name in ("decoder.onnx.data", "embeddings.npy"):
        assert (out / name).stat().st_size < 0.6 * (tiny_folder / name).stat().st_size
    asked = ["--fast", "--seconds", "3", "--ask", "What?", "--options", "a", "b", "--at", "2"]
    assert live(["--bundle", str(out), *asked]) == 0
    assert f"({kind})" in capsys.readouterr().out


def test_an_unknown_precision_is_refused(checkpoints, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        export(checkpoints, tmp_path / "out", "--quant", "int3")
    assert stopped.value.code == 2
    assert "int3" in capsys.readouterr().err
