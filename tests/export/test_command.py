"""`python -m export`: wrong input ends in one clear line and a status that is not zero."""

import json
import shutil

import pytest
import torch

from export.__main__ import main


@pytest.fixture
def checkpoints(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder.with_name("tiny-checkpoints"), tmp_path / "checkpoints")


def run(checkpoints, out, capsys, *more):
    status = main(
        [
            *("--qwen", str(checkpoints / "qwen"), "--vjepa", str(checkpoints / "vjepa.pt")),
            *("--vjepa-pixels", "64", "--gaze", str(checkpoints / "gazeqwen.pt")),
            *("--live-grid", "3x4", "--out", str(out), *more),
        ]
    )
    return status, capsys.readouterr().err


def refused(checkpoints, tmp_path, capsys, *more):
    out = tmp_path / "out"
    status, errors = run(checkpoints, out, capsys, *more)
    assert status == 1
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in errors
    assert not (out / "bundle.json").exists()
    return line


def rewrite(path, change):
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


@pytest.mark.long
def test_exports_given_checkpoints_layer_by_layer(checkpoints, tmp_path, capsys):
    """Above the memory limit each layer is compared on its own, and the manifest says so."""
    out = tmp_path / "out"
    assert run(checkpoints, out, capsys, "--parity-memory", "0")[0] == 0
    manifest = json.loads((out / "bundle.json").read_text())
    decoder = [figure for figure in manifest["parity"] if figure["graph"] == "decoder"]
    assert len(decoder) == 8 + 2 * 3
    assert all(figure["layer_by_layer"] for figure in decoder)
    assert manifest["provenance"]["weights"] == "trained"


@pytest.mark.long
def test_a_failed_comparison_keeps_the_files_and_fails(checkpoints, tmp_path, capsys, monkeypatch):
    """An export whose residuals are lost looks whole; the comparison has to find it."""
    from export.graphs.decoder import DecoderEmitter

    def lose(self, graph, layer, stream, projected):
        kept, self._injected = self._injected, ()
        try:
            return emit(self, graph, layer, stream, projected)
        finally:
            self._injected = kept

    emit = DecoderEmitter._feed_forward
    monkeypatch.setattr(DecoderEmitter, "_feed_forward", lose)
    out = tmp_path / "out"
    status, errors = run(checkpoints, out, capsys)
    assert status == 1
    assert "comparisons with PyTorch failed" in errors
    assert "FAILS: decoder, a residual changes the logits" in errors
    assert (out / "decoder.onnx.data").exists()
    from runtime.bundle.opening import Bundle
    from runtime.errors import BundleError

    with pytest.raises(BundleError, match="failed the comparison"):
        Bundle.open(out)


def test_missing_checkpoint(checkpoints, tmp_path, capsys):
    (checkpoints / "gazeqwen.pt").unlink()
    assert "there is no such file" in refused(checkpoints, tmp_path, capsys)


def test_not_a_gazeqwen_checkpoint(checkpoints, tmp_path, capsys):
    torch.save({"weights": torch.zeros(3)}, checkpoints / "gazeqwen.pt")
    assert "state_dict" in refused(checkpoints, tmp_path, capsys)


class Harmful:
    def __reduce__(self):
        return (print, ("this must never be printed",))


def test_a_pickle_that_needs_more_than_tensors(checkpoints, tmp_path, capsys):
    torch.save({"state_dict": Harmful()}, checkpoints / "gazeqwen.pt")
    line = refused(checkpoints, tmp_path, capsys)
    assert "more than tensors" in line
    assert "never be printed" not in capsys.readouterr().out


def test_lora_of_no_layer(checkpoints, tmp_path, capsys):
    def rename(content):
        lora = content["lora_state_dict"]
        name = next(iter(lora))
        lora["vision.blocks.0.attn.qkv.lora_A"] = lora.pop(name)

    rewrite(checkpoints / "gazeqwen.pt", rename)
    assert "vision.blocks.0.attn.qkv.lora_A" in refused(checkpoints, tmp_path, capsys)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("d_vjepa", 128, "width 128"), ("n_layers", 12, "12"), ("d_llm", 96, "96")],
)
def test_geometry_that_does_not_fit(checkpoints, tmp_path, capsys, key, value, said):
    from dataclasses import asdict, replace

    from export.checkpoints.gaze import load_gaze
    from export.modules.resampler import GazeResampler

    size = replace(load_gaze(checkpoints / "gazeqwen.pt").resampler.geometry, **{key: value})
    config = {name: number for name, number in asdict(size).items() if name != "modules"}
    renamed = {"state_dict": GazeResampler(size).state_dict(), "config": config}
    torch.save(renamed, checkpoints / "gazeqwen.pt")
    assert said in refused(checkpoints, tmp_path, capsys)


def test_truncated_shard(checkpoints, tmp_path, capsys):
    shard = sorted((checkpoints / "qwen").glob("*.safetensors"))[-1]
    shard.write_bytes(shard.read_bytes()[:-64])
    assert "truncated" in refused(checkpoints, tmp_path, capsys)


def test_wrong_grid(checkpoints, tmp_path, capsys):
    assert "--live-grid 9" in refused(checkpoints, tmp_path, capsys, "--live-grid", "9")


@pytest.mark.parametrize("arguments", [[], ["--random", "tiny", "--qwen", "x"], ["--qwen", "x"]])
def test_wrong_arguments_are_explained(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "--random" in capsys.readouterr().err
