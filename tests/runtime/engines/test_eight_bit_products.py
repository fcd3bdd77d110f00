"""Products of 8-bit numbers are added without overflow on every processor."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from runtime.engines.engine import OnnxEngine

ROWS, WIDTH, COLUMNS = 12, 512, 64


def test_the_largest_activations_and_weights_do_not_overflow(tmp_path):
    weights = np.full((WIDTH, COLUMNS), 127, np.int8)
    weights[:, 1::2] = -127
    activations = np.ones((ROWS, WIDTH), np.float32)  # brought to 255, of 0 to 255
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
    got = OnnxEngine(tmp_path / "products.onnx", threads=1).run({"activations": activations})["y"]
    assert got == pytest.approx(activations @ (weights / 127.0), rel=1e-5)
