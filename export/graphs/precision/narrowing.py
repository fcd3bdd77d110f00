"""Encoders for CUDA: their weights and products in 16 bits, everything between in float32.

Half the bytes on the disk and on the GPU. Sums inside a product, norms, what is added to the
stream, and the inside of softmax are float32, so that nothing overflows or cancels there.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import DTypeLike
from onnx import TensorProto, helper, numpy_helper

from export.checkpoints.common import CheckpointError
from export.graphs.model_file import save_model
from export.graphs.precision.eight_bits import to_eight_bits
from runtime.bundle import names
from runtime.bundle.manifest import EncoderType, Target
from runtime.engines.engine import OnnxEngine

# float16 has three bits more and ends at 65,504. V-JEPA's and the resampler's products read what a
# LayerNorm or a softmax has bounded. Qwen2.5-VL's vision tower has no such bound: the feed-forward
# of its last block is known to overflow with real pictures, so it is bfloat16 whatever a comparison
# on other pictures says.
ENCODER_TYPES: dict[str, EncoderType] = {
    names.VJEPA: "fp16",
    names.SCENE: "fp16",
    names.GAZE: "fp16",
    names.VISION: "bf16",
}
NUMPY_TYPES: dict[EncoderType, DTypeLike] = {
    "float32": np.float32,
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
}
# Convolutions see each pixel once, and CUDA has none in bfloat16 at this opset: they stay float32.
PRODUCT = "MatMul"
MOVES = ("Split", "Squeeze", "Unsqueeze", "Gather", "Slice", "Reshape", "Transpose", "Identity")


def encoder_types(target: Target, asked: EncoderType | None = None) -> dict[str, EncoderType]:
    """What each encoder is stored and multiplied in: for a CPU float32, or int8 where it is asked
    for; the resampler is too small to be worth it.

    Raises CheckpointError where a target has no such products.
    """
    if target == "cuda":
        if asked is not None:
            raise CheckpointError(
                f"--encoders {asked}: a bundle for CUDA has them in 16 bits: leave it out, or give "
                "--target cpu"
            )
        return ENCODER_TYPES
    kinds: dict[str, EncoderType] = dict.fromkeys(ENCODER_TYPES, "float32")
    return kinds | dict.fromkeys((names.VJEPA, names.VISION), asked or "float32")


def narrow(path: Path, kind: EncoderType) -> None:
    """Bring the weights and products of the float32 graph at `path` to fewer bits, in place."""
    if kind == "int8":
        to_eight_bits(path)
    elif kind != "float32":
        model = onnx.load(path)
        _Narrowing(model.graph, kind).apply()
        save_model(model, path)


def write_for_cpu(source: Path, folder: Path) -> Path:
    """The graph at `source` as a CPU can run it, in `folder`; its path.

    A CPU has no products in bfloat16: they are computed in float32 between the same roundings, as a
    GPU does inside. A graph without them needs no copy.
    """
    model = onnx.load(source, load_external_data=False)
    kinds = {weight.data_type for weight in model.graph.initializer}
    if TensorProto.BFLOAT16 not in kinds:
        return source
    model = onnx.load(source)
    _widen_products(model.graph)
    path = folder / source.name
    save_model(model, path)
    return path


def cpu_engine(path: Path, threads: int = 0) -> OnnxEngine:
    """Load a graph of any bundle on the CPU, one for CUDA with products of a GPU's precision."""
    with TemporaryDirectory() as folder:
        return OnnxEngine(write_for_cpu(path, Path(folder)), threads)


class _Narrowing:
    """`_lowered`: the 16-bit name of a float32 value that has one."""

    def __init__(self, graph: onnx.GraphProto, kind: EncoderType) -> None:
        self._graph = graph
        self._dtype = np.dtype(NUMPY_TYPES[kind])
        self._kind = int(helper.np_dtype_to_tensor_dtype(self._dtype))
        self._outputs = {output.name for output in graph.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        self._makers = {name: node for node in graph.node for name in node.output}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._lowered: dict[str, str] = {}

    def apply(self) -> None:
        for weight in self._graph.initializer:
            if weight.data_type == TensorProto.FLOAT and self._only_multiplied(weight.name):
                array = numpy_helper.to_array(weight).astype(self._dtype)
                weight.CopyFrom(numpy_helper.from_array(array, weight.name))
                self._mark(weight.name)
        nodes: list[onnx.NodeProto] = []
        for node in self._graph.node:
            if node.op_type == PRODUCT or self._between_products(node):
                nodes += self._narrowed(node)
            else:
                nodes.append(node)
        read = {name for node in nodes for name in node.input} | self._outputs
        del self._graph.node[:]
        self._graph.node.extend(
            node for node in nodes if node.op_type != "Cast" or node.output[0] in read
        )
        del self._graph.value_info[:]

    def _only_multiplied(self, name: str) -> bool:
        """Whether every way from a value leads into a product and moves numbers at most."""
        readers = self._readers.get(name, [])
        return (
            bool(readers)
            and name not in self._outputs
            and all(
                node.op_type == PRODUCT
                or (
                    node.op_type in MOVES
                    and node.input[0] == name
                    and all(map(self._only_multiplied, node.output))
                )
                for node in readers
            )
        )

    def _mark(self, name: str) -> None:
        self._lowered[name] = name
        for node in self._readers[name]:
            if node.op_type in MOVES:
                for output in node.output:
                    self._mark(output)

    def _between_products(self, node: onnx.NodeProto) -> bool:
        """A softmax that a product fills and products read: CUDA's sums in float32 by itself."""
        if node.op_type != "Softmax" or node.output[0] in self._outputs:
            return False
        maker = self._makers.get(node.input[0])
        readers = self._readers.get(node.output[0], [])
        return maker is not None and all(each.op_type == PRODUCT for each in (maker, *readers))

    def _narrowed(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        casts = []
        for place, name in enumerate(node.input):
            if name not in self._lowered:
                self._lowered[name] = f"{name}.narrow"
                casts.append(_cast(name, self._lowered[name], self._kind))
            node.input[place] = self._lowered[name]
        wide = node.output[0]
        node.output[0] = self._lowered[wide] = f"{wide}.narrow"
        return [*casts, node, _cast(node.output[0], wide, TensorProto.FLOAT)]


def _widen_products(graph: onnx.GraphProto) -> None:
    """Casts around every bfloat16 product, so that it computes in float32."""
    narrow = {w.name for w in graph.initializer if w.data_type == TensorProto.BFLOAT16}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "Cast":
            if node.attribute[0].i == TensorProto.BFLOAT16:
                narrow.add(node.output[0])
        elif node.op_type in (PRODUCT, "Softmax") and narrow.intersection(node.input):
            for place, name in enumerate(node.input):
                node.input[place] = f"{node.name}.wide.{place}"
                nodes.append(_cast(name, node.input[place], TensorProto.FLOAT))
            output = node.output[0]
            node.name = node.output[0] = f"{output}.exact"
            narrow.add(output)
            nodes += [node, _cast(node.output[0], output, TensorProto.BFLOAT16)]
            continue
        elif node.op_type in MOVES and node.input[0] in narrow:
            narrow.update(node.output)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]


def _cast(value: str, output: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [value], [output], output, to=int(kind))
