"""Writes an ONNX graph node by node, its weights straight to an external data file.

Nothing holds the model: a weight is written when it is added and then forgotten. A long graph can
be kept at stages, so that an interrupted export goes on from the last one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import onnx
from numpy.typing import DTypeLike, NDArray
from onnx import TensorProto, helper

from export import files
from runtime.bundle.manifest import GraphSpec, TensorSpec

OPSET = 18
CONTRIB = "com.microsoft"
ALIGNMENT = 4096  # of a weight in the data file, so that it can be mapped
STAGE, ORIGIN, DATA = "stage", "origin", "sha256 of the data"
CHUNK = 1 << 24  # bytes of the data file that are read at a time


class GraphWriter:
    """One graph under construction. Use as a context manager, `save` before leaving it.

    The data file is `<name>.onnx.data` beside the graph; small constants stay in the graph.
    `stage` is the last one that was kept before an interruption, 0 where there is none; `facts` are
    what was kept with it. What was kept is used only as long as it is what was written.
    """

    def __init__(self, folder: Path, name: str, origin: str = "") -> None:
        """`origin` stands for all that decides what is written: only a graph that was kept with
        the same one is continued. Without it none is kept."""
        self.path = folder / f"{name}.onnx"
        self.data_path = folder / f"{name}.onnx.data"
        self.stage = 0
        self.facts: dict[str, str] = {}
        self._name = name
        self._origin = origin
        self._kept_path = folder / f"{name}.onnx.kept"
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[TensorProto] = []
        self._data: BinaryIO | None = None
        self._digest = hashlib.sha256()  # of the data file so far

    def __enter__(self) -> GraphWriter:
        end = self._continue() if self._origin else None
        self._data = self.data_path.open("wb" if end is None else "r+b")
        if end is not None:
            self._data.seek(end)
            self._data.truncate()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._data is not None:
            with files.named(self.data_path):
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

    def nodes(self, added: Sequence[onnx.NodeProto]) -> None:
        """Append nodes that something else made."""
        self._nodes.extend(added)

    def holds(self, name: str) -> bool:
        """Whether a value of this name was added: of a node or a constant."""
        given = (output for node in reversed(self._nodes) for output in node.output)
        return name in given or any(each.name == name for each in self._initializers)

    def cast(self, value: str, dtype: DTypeLike, output: str) -> str:
        """Append a cast of `value` to a type; returns `output`."""
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.node("Cast", [value], [output], to=int(kind))

    def weight(self, name: str, values: NDArray[np.generic]) -> str:
        """Write a weight to the data file; returns its name."""
        assert self._data is not None, "the writer is a context manager"
        self._append(b"\0" * (-self._data.tell() % ALIGNMENT))
        start = self._data.tell()
        self._append(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
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

    def keep(self, stage: int, facts: Mapping[str, str] | None = None) -> None:
        """Keep what was added so far, so that an interruption costs no more than what follows."""
        if not self._origin:
            return
        self._sync()
        graph = helper.make_graph(self._nodes, self._name, [], [], self._initializers)
        model = helper.make_model(graph)
        place = {STAGE: str(stage), ORIGIN: self._origin, DATA: self._digest.hexdigest()}
        helper.set_model_props(model, {**(facts or {}), **place})
        content = model.SerializeToString()
        files.write(self._kept_path, hashlib.sha256(content).digest() + content)

    def _append(self, content: bytes | memoryview) -> None:
        assert self._data is not None, "the writer is a context manager"
        with files.named(self.data_path):
            self._data.write(content)
        if self._origin:
            self._digest.update(content)

    def _sync(self) -> None:
        assert self._data is not None, "the writer is a context manager"
        with files.named(self.data_path):
            self._data.flush()
            os.fsync(self._data.fileno())

    def _continue(self) -> int | None:
        """Take up what was kept; where its data ends, or None if it can't be continued."""
        model = self._kept()
        if model is None:
            return None
        facts = {entry.key: entry.value for entry in model.metadata_props}
        if facts.pop(ORIGIN) != self._origin:
            return None
        ends = [
            int(place["offset"]) + int(place["length"])
            for tensor in model.graph.initializer
            if (place := {entry.key: entry.value for entry in tensor.external_data})
        ]
        end = max(ends, default=0)
        digest = self._digest_up_to(end)
        if digest.hexdigest() != facts.pop(DATA):
            return None
        self._digest = digest
        self._nodes = list(model.graph.node)
        self._initializers = list(model.graph.initializer)
        self.stage, self.facts = int(facts.pop(STAGE)), facts
        return end

    def _kept(self) -> onnx.ModelProto | None:
        """The graph that was kept, unless there is none or it is not what was written."""
        try:
            content = self._kept_path.read_bytes()
        except OSError:
            return None
        size = hashlib.sha256().digest_size
        if hashlib.sha256(content[size:]).digest() != content[:size]:
            return None
        return onnx.load_model_from_string(content[size:])

    def _digest_up_to(self, end: int) -> hashlib._Hash:
        """Of the first bytes of the data file, or of fewer if there are fewer."""
        digest = hashlib.sha256()
        try:
            with self.data_path.open("rb") as data:
                while end and (chunk := data.read(min(CHUNK, end))):
                    digest.update(chunk)
                    end -= len(chunk)
        except OSError:
            return hashlib.sha256()
        return digest

    def save(
        self,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        facts: Mapping[str, str] | None = None,
    ) -> Path:
        """Write the graph file, with `facts` as its metadata; returns its path."""
        graph = helper.make_graph(
            self._nodes, self._name, list(inputs), list(outputs), self._initializers
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="gazeqwen-edge")
        model.ir_version = 10
        helper.set_model_props(model, dict(facts or {}))
        self._sync()
        files.write(self.path, model.SerializeToString())
        self._kept_path.unlink(missing_ok=True)
        return self.path


def tensor_info(name: str, dtype: DTypeLike, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    """The declaration of a graph's input or output; a dynamic axis is a word."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, kind, list(shape))


def graph_spec(folder: Path, graph: str) -> GraphSpec:
    """What a written graph takes and gives."""
    model = onnx.load(folder / f"{graph}.onnx", load_external_data=False).graph
    return GraphSpec(
        f"{graph}.onnx",
        tuple(_tensor_spec(info) for info in model.input),
        tuple(_tensor_spec(info) for info in model.output),
    )


def _tensor_spec(info: onnx.ValueInfoProto) -> TensorSpec:
    tensor = info.type.tensor_type
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    shape = tuple(axis.dim_param or axis.dim_value for axis in tensor.shape.dim)
    return TensorSpec(info.name, kind, shape)
