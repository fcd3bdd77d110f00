"""Products of 8-bit numbers are added without overflow on every processor, and fast."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from runtime.engines import engine
from runtime.engines.engine import OnnxEngine

ROWS, WIDTH, COLUMNS = 12, 512, 64


@pytest.fixture
def loaded(tmp_path):
    """A product of the largest weights; its engine, loaded anew at each call."""
    weights = np.full((WIDTH, COLUMNS), 127, np.int8)
    weights[:, 1::2] = -127
    node = helper.make_node(
        "DynamicQuantizeMatMul", ["activations", "weights", "scale"], ["y"], domain="com.microsoft"
    )
    graph = helper.make_graph(
        [node],
        "products",
        [helper.make_tensor_value_info("activations", TensorProto.FLOAT, [ROWS, WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [ROWS, COLUMNS])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1 / 127], np.float32), "scale"),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "products.onnx")
    return lambda: OnnxEngine(tmp_path / "products.onnx", threads=1)


def test_the_largest_activations_and_weights_do_not_overflow(loaded):
    activations = np.ones((ROWS, WIDTH), np.float32)  # brought to 255, of 0 to 255
    got = loaded().run({"activations": activations})["y"]
    assert got == pytest.approx(np.full((ROWS, COLUMNS), WIDTH) * np.resize([1, -1], COLUMNS))


@pytest.mark.parametrize("has", [False, True])
def test_the_slow_way_is_taken_only_where_it_is_needed(loaded, monkeypatch, has):
    """With it a processor that has dot products multiplies several times slower."""
    monkeypatch.setattr(engine, "has_dot_products", lambda: has)
    options = loaded()._session.get_session_options()
    if has:
        with pytest.raises(RuntimeError, match="config"):
            options.get_session_config_entry("session.x64quantprecision")
    else:
        assert options.get_session_config_entry("session.x64quantprecision") == "1"
