"""Writes an ONNX graph node by node, its weights straight to an external data file.

Nothing holds the model: a weight is written when it is added and then forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import onnx
from numpy.typing import DTypeLike, NDArray
from onnx import TensorProto, helper

OPSET = 18
CONTRIB = "com.microsoft"
ALIGNMENT = 4096  # of a weight in the data file, so that it can be mapped


class GraphWriter:
    """One graph under construction. Use as a context manager, `save` before leaving it.

    The data file is `<name>.onnx.data` beside the graph; small constants stay in the graph.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.onnx"
        self.data_path = folder / f"{name}.onnx.data"
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[TensorProto] = []
        self._data: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._data = self.data_path.open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._data is not None:
            self._data.close()

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        domain: str = "",
        **attributes: float | int | str | list[int],
    ) -> str:
        """Append a node named after its first output; returns that output."""
        self._nodes.append(
            helper.make_node(
                operator, list(inputs), list(outputs), outputs[0], domain=domain, **attributes
            )
        )
        return outputs[0]

    def weight(self, name: str, values: NDArray[np.generic]) -> str:
        """Write a weight to the data file; returns its name."""
        assert self._data is not None, "the writer is a context manager"
        self._data.write(b"\0" * (-self._data.tell() % ALIGNMENT))
        start = self._data.tell()
        np.ascontiguousarray(values).tofile(self._data)
        tensor = TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(values.dtype),
            dims=values.shape,
            data_location=TensorProto.EXTERNAL,
        )
        facts = {"location": self.data_path.name, "offset": start, "length": values.nbytes}
        for key, value in facts.items():
            tensor.external_data.add(key=key, value=str(value))
        self._initializers.append(tensor)
        return name

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """A small constant, kept inside the graph file; returns its name."""
        self._initializers.append(onnx.numpy_helper.from_array(values, name))
        return name

    def save(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> Path:
        """Write the graph file; returns its path."""
        graph = helper.make_graph(
            self._nodes, self._name, list(inputs), list(outputs), self._initializers
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="gazeqwen-edge")
        model.ir_version = 10
        onnx.save_model(model, self.path)
        return self.path


def tensor_info(name: str, dtype: DTypeLike, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    """The declaration of a graph's input or output; a dynamic axis is a word."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, kind, list(shape))
