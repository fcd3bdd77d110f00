"""An export that is interrupted: no bundle that looks whole, and the same command goes on."""

import filecmp
import shutil

import pytest

from export.__main__ import main
from export.checkpoints.qwen import QwenCheckpoint
from export.graphs.decoder import DecoderEmitter
from export.graphs.quantization import linears
from export.graphs.weights import DecoderWeights
from export.journal import JOURNAL_FILE, Journal
from runtime.bundle import manifest as names
from runtime.bundle.opening import Bundle
from runtime.errors import BundleError


class Layers(list):
    """The layers that are emitted, in order; interrupted before the one `stop_at`."""

    stop_at = None


@pytest.fixture
def emitted(monkeypatch):
    layers = Layers()
    emit = DecoderEmitter._layer

    def noting(self, graph, layer, norm, stream):
        if layer == layers.stop_at:
            layers.stop_at = None
            layers.clear()
            raise KeyboardInterrupt
        layers.append(layer)
        return emit(self, graph, layer, norm, stream)

    monkeypatch.setattr(DecoderEmitter, "_layer", noting)
    return layers


@pytest.fixture
def emit(tiny_folder, tmp_path):
    qwen = QwenCheckpoint.open(tiny_folder.with_name("tiny-checkpoints") / "qwen")

    def run(origin):
        emitter = DecoderEmitter(
            DecoderWeights(qwen, None), qwen.decoder, (1, 3, 5), linears("float32")
        )
        return emitter.emit(tmp_path, origin=origin)

    return run


def test_the_command_goes_on(tiny_folder, tmp_path, emitted, capsys):
    shutil.copytree(tiny_folder.with_name("tiny-checkpoints"), tmp_path / "tiny-checkpoints")
    out = tmp_path / "tiny"
    command = ["--random", "tiny", "--seed", "3", "--quant", "float32", "--out", str(out)]
    out.mkdir()
    shutil.copyfile(tiny_folder / names.MANIFEST_FILE, out / names.MANIFEST_FILE)
    emitted.stop_at = 4
    assert main(command) == 1
    assert "is no bundle yet" in capsys.readouterr().err
    with pytest.raises(BundleError, match="unfinished"):
        Bundle.open(out)
    traced = (out / "vjepa.onnx.data").stat().st_mtime_ns
    assert main(command) == 0
    assert emitted == [4, 5, 6]
    assert (out / "vjepa.onnx.data").stat().st_mtime_ns == traced
    for name in ("decoder.onnx", "decoder.onnx.data", "embeddings.npy"):
        assert filecmp.cmp(out / name, tiny_folder / name, shallow=False)
    listed = set(Bundle.open(out).manifest.files) | {names.MANIFEST_FILE}
    assert {path.name for path in out.iterdir()} == listed


def interrupted(emit, emitted, layer, origin):
    emitted.stop_at = layer
    with pytest.raises(KeyboardInterrupt):
        emit(origin)


def test_half_a_layer_is_written_again(emit, emitted, tmp_path, tiny_folder):
    whole = emit("").with_suffix(".onnx.data").read_bytes()
    interrupted(emit, emitted, 4, "a")
    with (tmp_path / "decoder.onnx.data").open("ab") as data:
        data.write(b"half a matrix")
    emit("a")
    assert emitted == [4, 5, 6]
    assert (tmp_path / "decoder.onnx.data").read_bytes() == whole


def test_layers_of_another_origin_are_not_used(emit, emitted):
    interrupted(emit, emitted, 4, "a")
    emit("b")
    assert emitted == list(range(7))


def test_layers_whose_data_are_gone_are_written_again(emit, emitted, tmp_path):
    interrupted(emit, emitted, 4, "a")
    (tmp_path / "decoder.onnx.data").write_bytes(b"")
    emit("a")
    assert emitted == list(range(7))


def test_a_journal_knows_finished_parts_of_the_same_origin_only(tmp_path):
    journal = Journal(tmp_path, {"weights": "a"})
    with journal.part("vision") as missing:
        assert missing
    with pytest.raises(KeyboardInterrupt), journal.part("decoder"):
        raise KeyboardInterrupt
    again = Journal(tmp_path, {"weights": "a"})
    assert again.origin == journal.origin
    with again.part("vision") as missing:
        assert not missing
    with again.part("decoder") as missing:
        assert missing
    other = Journal(tmp_path, {"weights": "b"})
    with other.part("vision") as missing:
        assert missing


@pytest.mark.parametrize("content", ["", "[]", '{"origin": 3}', "\x00"])
def test_a_damaged_journal_begins_again(tmp_path, content):
    (tmp_path / JOURNAL_FILE).write_text(content)
    with Journal(tmp_path, {}).part("vision") as missing:
        assert missing
