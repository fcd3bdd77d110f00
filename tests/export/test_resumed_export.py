"""An export that is interrupted: no bundle that looks whole, and the same command goes on."""

import pytest

from export.checkpoints.qwen import QwenCheckpoint
from export.graphs.decoder import DecoderEmitter
from export.graphs.precision.quantization import linears
from export.graphs.weights import DecoderWeights
from export.journal import JOURNAL_FILE, Journal


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


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


LOST = {
    "data emptied": lambda folder: (folder / "decoder.onnx.data").write_bytes(b""),
    "data gone": lambda folder: (folder / "decoder.onnx.data").unlink(),
    "data altered": lambda folder: flip(folder / "decoder.onnx.data", 5000),
    "graph altered": lambda folder: flip(folder / "decoder.onnx.kept", 300),
    "graph truncated": lambda folder: (folder / "decoder.onnx.kept").write_bytes(b"0" * 40),
    "graph gone": lambda folder: (folder / "decoder.onnx.kept").unlink(),
}


@pytest.mark.parametrize("loss", LOST)
def test_layers_that_are_not_what_was_kept_are_written_again(emit, emitted, tmp_path, loss):
    whole = emit("").with_suffix(".onnx.data").read_bytes()
    interrupted(emit, emitted, 4, "a")
    LOST[loss](tmp_path)
    emit("a")
    assert emitted == list(range(7))
    assert (tmp_path / "decoder.onnx.data").read_bytes() == whole


def finish(journal, part, name, content):
    with journal.part(part, [name]) as missing:
        if missing:
            (journal._folder / name).write_bytes(content)
    return missing


def test_a_journal_knows_finished_parts_of_the_same_origin_only(tmp_path):
    journal = Journal(tmp_path, {"weights": "a"})
    assert finish(journal, "vision", "v", b"1234")
    with pytest.raises(KeyboardInterrupt), journal.part("decoder", ["d"]):
        raise KeyboardInterrupt
    again = Journal(tmp_path, {"weights": "a"})
    assert again.origin == journal.origin
    again.begin(["v"])
    assert not finish(again, "vision", "v", b"1234")
    assert finish(again, "decoder", "d", b"12")
    other = Journal(tmp_path, {"weights": "b"})
    other.begin(["v"])
    assert not (tmp_path / "v").exists()
    assert (tmp_path / "d").exists()
    assert finish(other, "vision", "v", b"1234")


DAMAGES = {
    "gone": lambda path: path.unlink(),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"0"),
    "altered": lambda path: path.write_bytes(b"1235"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_part_that_is_not_what_was_written_is_not_finished(tmp_path, damage):
    journal = Journal(tmp_path, {})
    finish(journal, "vision", "v", b"1234")
    finish(journal, "decoder", "d", b"1234")
    DAMAGES[damage](tmp_path / "v")
    again = Journal(tmp_path, {})
    assert finish(again, "vision", "v", b"1234")
    assert not finish(again, "decoder", "d", b"1234")
    assert not finish(Journal(tmp_path, {}), "vision", "v", b"1234")


def test_a_part_that_consists_of_other_files_now_is_not_finished(tmp_path):
    finish(Journal(tmp_path, {}), "vision", "v", b"1234")
    with Journal(tmp_path, {}).part("vision", ["v", "w"]) as missing:
        assert missing
        for name in "vw":
            (tmp_path / name).touch()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"origin": 3}',
        b"\x00",
        b"\xff\xfe",
        b'{"origin": "ORIGIN", "finished": ["vision"]}',
        b'{"origin": "ORIGIN", "finished": {"vision": {"v": 3}}}',
    ],
)
def test_a_damaged_journal_begins_again(tmp_path, content):
    origin = Journal(tmp_path, {}).origin.encode()
    (tmp_path / JOURNAL_FILE).write_bytes(content.replace(b"ORIGIN", origin))
    assert finish(Journal(tmp_path, {}), "vision", "v", b"1234")
