"""Encoders for a CPU with dot products of 8-bit numbers: V-JEPA's and the vision tower's matrices.

A matrix has a scale per row, as in an int8 decoder. What it is multiplied with is brought to 8 bits
token by token, by its own largest value: some tokens of a vision tower are a thousand times larger
than the others, which one scale for all would round to nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from export.graphs.graph_writer import CONTRIB
from export.graphs.model_file import save_model
from export.graphs.precision.matrices import EightBitRows
from export.graphs.precision.token_products import CONSTANTS, product, rounded_tokens

PRODUCT, PATCHES = "MatMul", "patch_embed"  # pixels are seen once: theirs stay


def restored(weight: Tensor) -> Tensor:
    """The float32 matrix (out, in) that stands for `weight` in such a graph."""
    rows = EightBitRows()
    return rows.restored(rows.pieces(weight.float()), weight.shape[1])


def to_eight_bits(path: Path) -> int:
    """Bring the matrices of the float32 graph at `path` to 8 bits, in place; how many there are."""
    model = onnx.load(path)
    graph = model.graph
    weights = {each.name: each for each in graph.initializer}
    constants = [numpy_helper.from_array(each, name) for name, each in CONSTANTS.items()]
    rounded: set[str] = set()
    nodes: list[onnx.NodeProto] = []
    gone: set[str] = set()
    for node in graph.node:
        weight = weights.get(node.input[1]) if node.op_type == PRODUCT else None
        if weight is None or len(weight.dims) != 2 or PATCHES in weight.name:
            nodes.append(node)
            continue
        if weight.name not in gone:
            constants += _stored(weight)
            gone.add(weight.name)
        tokens = node.input[0]
        if tokens not in rounded:
            nodes += rounded_tokens(tokens)
            rounded.add(tokens)
        stored = (f"{weight.name}.{suffix}" for suffix in EightBitRows.suffixes)
        nodes += product(tokens, *stored, node.output[0])
    kept = [each for each in graph.initializer if each.name not in gone]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*kept, *constants])
    if all(each.domain != CONTRIB for each in model.opset_import):
        model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
    save_model(model, path)
    return len(gone)


def _stored(weight: TensorProto) -> list[TensorProto]:
    matrix = torch.from_numpy(numpy_helper.to_array(weight).T.astype(np.float32))
    pieces = EightBitRows().pieces(matrix)
    return [numpy_helper.from_array(each, f"{weight.name}.{kind}") for kind, each in pieces.items()]
