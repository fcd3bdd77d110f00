"""The same run through PyTorch and hooks, and as CUDA rounds."""

import numpy as np
import pytest
from cuda_bundles import for_cuda
from drawn_streamgaze import alert, choice, draw_set

from benchmarks.streamgaze.__main__ import main
from benchmarks.streamgaze.asking.results import read_run

pytest.importorskip("torch", reason="needs the extra 'export'")


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return draw_set(
        tmp_path_factory.mktemp("set"),
        {"clip": 20},
        {
            "past_scene_recall": [("clip", [choice(second) for second in (5, 12, 19)])],
            "proactive_gaze_triggered_alert": [("clip", [alert([(4, 0), (10, 1), (17, 1)])])],
        },
    )


def checkpoint_options(folder):
    checkpoints = folder.with_name("tiny-checkpoints")
    return [
        *("--engine", "torch", "--qwen", checkpoints / "qwen"),
        *("--vjepa", checkpoints / "vjepa.pt"),
        *("--gaze-checkpoint", checkpoints / "gazeqwen.pt"),
    ]


@pytest.mark.parametrize("protocol", ["causal", "released"])
def test_pytorch_answers_like_the_engine(tiny_folder, small_set, tmp_path, capsys, protocol):
    common = ["--bundle", tiny_folder, "--protocol", protocol, "--out"]
    assert main(small_set.options(*common, tmp_path / "onnx")) == 0
    torch_options = [*common, tmp_path / "torch", *checkpoint_options(tiny_folder)]
    assert main(small_set.options(*torch_options)) == 0
    engine, pytorch = (read_run(tmp_path / name) for name in ("onnx", "torch"))
    assert "torch" in pytorch.conditions.engine and "onnx" in engine.conditions.engine
    assert len(engine.results) == len(pytorch.results) == 6
    for one, other in zip(engine.results, pytorch.results, strict=True):
        assert (one.key, one.response, one.steps) == (other.key, other.response, other.steps)
        chances = [list(each.probabilities.values()) for each in (one, other)]
        assert np.allclose(*chances, atol=1e-4)
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "onnx"), str(tmp_path / "torch")]) == 0
    assert "- engine: A onnxruntime" in capsys.readouterr().out


def test_other_checkpoints_than_the_bundle_was_made_of(tiny_folder, small_set, tmp_path, capsys):
    options = checkpoint_options(tiny_folder)
    other = tmp_path / "other.pt"
    other.write_bytes(options[-1].read_bytes() + b" ")
    command = ["--bundle", tiny_folder, "--out", tmp_path / "run", *options[:-1], other]
    assert main(small_set.options(*command)) == 1
    error = capsys.readouterr().err
    assert "was not made from this file" in error and error.count("\n") == 1


@pytest.mark.long
def test_as_cuda_rounds(tiny_folder, small_set, tmp_path):
    bundle = for_cuda(tiny_folder, tmp_path / "cuda", "fp16")
    options = ["--bundle", bundle, "--engine", "as-cuda", "--out", tmp_path / "rounded"]
    assert main(small_set.options(*options)) == 0
    assert main(small_set.options("--bundle", tiny_folder, "--out", tmp_path / "float32")) == 0
    rounded, exact = (read_run(tmp_path / name) for name in ("rounded", "float32"))
    assert rounded.conditions.engine.endswith("as CUDA rounds")
    off = [
        abs(np.subtract(*(list(each.probabilities.values()) for each in (one, other)))).max()
        for one, other in zip(rounded.results, exact.results, strict=True)
    ]
    assert 0 < max(off) < 0.01


def test_only_a_bundle_for_cuda_is_run_as_cuda(tiny_folder, small_set, tmp_path, capsys):
    options = ["--bundle", tiny_folder, "--engine", "as-cuda", "--out", tmp_path / "run"]
    assert main(small_set.options(*options)) == 1
    error = capsys.readouterr().err
    assert "was not exported with --target cuda" in error and error.count("\n") == 1


def test_a_context_in_pytorch_rewinds(tiny_models, tiny_reference):
    from export.parity.torch_models import TorchModels
    from runtime.errors import QuestionError

    models = TorchModels(tiny_models.bundle, tiny_reference)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 84, 112, 3), np.uint8)
    context = models.context((3, 4), 12 * 2 + 40)
    room = context.room
    context.append_step(models.visual(pixels), None)
    mark, text = context.mark(), np.arange(5)
    first = context.append_text(text)
    assert (context.steps, context.room) == (1, room - 12 - 5)
    context.rewind(mark)
    assert np.array_equal(context.append_text(text), first)
    context.rewind(mark)
    context.append_step(models.visual(pixels[::-1].copy()), None)
    assert not np.allclose(context.append_text(text), first)
    with pytest.raises(QuestionError, match="do not fit"):
        context.append_text(np.zeros(100, np.int64))
    context.clear()
    assert (context.steps, context.room) == (0, room)
