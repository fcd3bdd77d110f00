"""Encoders in 8 bits: each token by its own size, near what PyTorch gives."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from test_quantized_bundles import checkpoints, export  # noqa: F401 - a fixture

from export.graphs.model_file import save_model
from export.graphs.precision.eight_bits import to_eight_bits
from runtime.bundle.names import VISION, VJEPA
from runtime.bundle.opening import Bundle
from runtime.engines.engine import OnnxEngine
from runtime.model.models import Models

WIDTH, COLUMNS = 256, 96


def test_a_token_that_is_a_thousand_times_larger_spoils_no_other(tmp_path):
    draws = np.random.default_rng(3)
    weight = draws.normal(size=(WIDTH, COLUMNS)).astype(np.float32)
    tokens = draws.normal(size=(5, WIDTH)).astype(np.float32)
    tokens[1] *= 1000
    tokens[2] = 0
    node = helper.make_node("MatMul", ["tokens", "weight"], ["y"])
    graph = helper.make_graph(
        [node],
        "products",
        [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, [None, WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, COLUMNS])],
        [numpy_helper.from_array(weight, "weight")],
    )
    path = tmp_path / "products.onnx"
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    assert to_eight_bits(path) == 1
    got = OnnxEngine(path, threads=1).run({"tokens": tokens})["y"]
    exact = tokens @ weight
    off = np.sqrt(((got - exact) ** 2).mean(axis=1)) / np.sqrt((exact**2).mean(axis=1) + 1e-30)
    assert (off[[0, 1, 3, 4]] < 0.02).all() and (off[[0, 1, 3, 4]] > 1e-4).all()
    assert (got[2] == 0).all()


@pytest.mark.long
def test_a_bundle_with_them_compares_with_pytorch(checkpoints, tiny_models, tmp_path):  # noqa: F811
    out = tmp_path / "bundle"
    wanted = ["--quant", "float32", "--target", "cpu", "--encoders", "int8"]
    assert export(checkpoints, out, *wanted) == 0
    models = Models(Bundle.open(out))
    assert models.bundle.manifest.encoders == {
        VJEPA: "int8",
        VISION: "int8",
        "resampler.scene": "float32",
        "resampler.gaze": "float32",
    }
    for name in (VJEPA, VISION):
        graph = onnx.load(out / f"{name}.onnx", load_external_data=False).graph
        weights = {each.name for each in graph.initializer}
        multiplied = {node.input[1] for node in graph.node if node.op_type == "MatMul"}
        assert [each for each in multiplied & weights if "patch_embed" not in each] == []
        eight, wide = (folder / f"{name}.onnx.data" for folder in (out, tiny_models.bundle.folder))
        assert eight.stat().st_size < wide.stat().st_size
    told = [figure.case for figure in models.bundle.manifest.parity]
    assert any("rounding to int8 alone, features" in case for case in told)
    pixels = np.random.default_rng(5).integers(0, 256, (2, 84, 112, 3), np.uint8)
    for ours, exact in (
        (models.features(pixels, 1), tiny_models.features(pixels, 1)),
        (models.visual(pixels), tiny_models.visual(pixels)),
    ):
        off = np.sqrt(((ours - exact) ** 2).mean() / (exact**2).mean())
        assert 1e-4 < off < 0.05


def test_they_are_not_for_cuda(checkpoints, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "bundle"
    assert export(checkpoints, out, "--target", "cuda", "--encoders", "int8") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: --encoders int8") and "--target cpu" in line
    assert not out.exists()


@pytest.mark.parametrize("kind", ["fp16", "int4"])
def test_others_are_refused(checkpoints, tmp_path, kind):  # noqa: F811
    with pytest.raises(SystemExit):
        export(checkpoints, tmp_path / "bundle", "--encoders", kind)
