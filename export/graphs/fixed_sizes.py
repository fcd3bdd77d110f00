"""A graph for one size of its inputs: arithmetic on sizes is done once, here.

V-JEPA's graph takes frames of any size and works out in whole numbers which pixels it interpolates
between. TensorRT-RTX 1.7 does not build that for one size ("Cannot convert scalar operand of type
11 to float"); with the places known it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
from onnxscript import optimizer

from export.graphs.model_file import save_model
from runtime.engines.shape_profiles import Shape

# Elements of what is folded: places and shares along a side, never the weights.
LARGEST = 1 << 16


def write_for_sizes(source: Path, shapes: Mapping[str, Shape], folder: Path) -> Path:
    """Write the graph at `source` to `folder` for inputs of these shapes; returns its path."""
    model = onnx.load(source)
    for given in model.graph.input:
        axes = given.type.tensor_type.shape.dim
        for axis, size in zip(axes, shapes[given.name], strict=True):
            axis.Clear()
            axis.dim_value = size
    del model.graph.value_info[:]
    folded = optimizer.optimize(model, input_size_limit=LARGEST, output_size_limit=LARGEST)
    path = folder / source.name
    save_model(folded, path)
    return path
