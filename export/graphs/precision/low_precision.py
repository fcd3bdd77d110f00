"""A graph whose matrix products are computed in 16 bits; everything between stays float32.

Sums, norms and softmax keep their range and digits, so that nothing overflows; TensorRT fuses the
casts into the products. Both flavours are told the types by the graph itself (strongly typed).
"""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.graphs.model_file import save_model
from runtime.engines.store import Precision

PRODUCTS = ("MatMul", "Conv", "Gemm")
LOW = {
    "fp16": (TensorProto.FLOAT16, np.float16),
    "bf16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
}


def write_with_precision(source: Path, precision: Precision, folder: Path) -> Path:
    """Write the graph at `source` to `folder` with its products in `precision`; returns its path.

    float32 needs no copy: the path is `source`.
    """
    if precision == "float32":
        return source
    model = onnx.load(source)
    _lower(model.graph, *LOW[precision])
    path = folder / source.name
    save_model(model, path)
    return path


def _lower(graph: onnx.GraphProto, kind: int, dtype: type) -> None:
    """Casts around every product; a weight that only products read is stored in `dtype`."""
    weights = {weight.name: weight for weight in graph.initializer}
    others = {name for node in graph.node if node.op_type not in PRODUCTS for name in node.input}
    lowered: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type not in PRODUCTS:
            nodes.append(node)
            continue
        for place, name in enumerate(node.input):
            if name and name not in lowered:
                weight = weights.get(name)
                lowered[name] = name if weight and name not in others else f"{name}.{kind}"
                if lowered[name] == name:
                    array = numpy_helper.to_array(weight).astype(dtype)
                    weight.CopyFrom(numpy_helper.from_array(array, name))
                else:
                    nodes.append(helper.make_node("Cast", [name], [lowered[name]], to=kind))
            node.input[place] = lowered.get(name, name)
        product = node.output[0]
        node.output[0] = f"{product}.product"
        nodes.append(node)
        cast = helper.make_node("Cast", [node.output[0]], [product], to=TensorProto.FLOAT)
        nodes.append(cast)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
