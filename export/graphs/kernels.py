"""Which nodes of a graph ONNX Runtime has CUDA kernels for, from a table and without a GPU.

`cuda_kernels.csv` is written from ONNX Runtime's docs/OperatorKernels.md (commit 001d12d, section
CUDAExecutionProvider): for the operators of our graphs at opset 18, as the graphs hold them or as
ONNX Runtime fuses them, the types that a kernel takes, and the oldest version of ONNX Runtime that
this project takes and that has it. An operator that is not listed has none.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import onnx
from onnx import TensorProto

from export.checkpoints.common import CheckpointError
from runtime.bundle import names
from runtime.bundle.manifest import Target

TABLE = Path(__file__).with_name("cuda_kernels.csv")
NAMES = {  # ONNX Runtime's names of types
    TensorProto.FLOAT: "float",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.BOOL: "bool",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8",
}
FLOATS = ("float", "float16", "bfloat16")
TRUTHS = ("And", "Equal", "Less")  # operators that give bool whatever they take


@dataclass(frozen=True, slots=True)
class Kernel:
    """`types`: that a CUDA kernel takes; `version`: of ONNX Runtime that has it."""

    types: frozenset[str]
    version: str


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A node that CUDA has no kernel for, and the type of it."""

    node: str
    operator: str
    type: str

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.operator} of {self.type} ({self.node})"


@lru_cache(maxsize=1)
def kernels() -> dict[tuple[str, str], Kernel]:
    """By domain and operator."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {
            (row["domain"], row["operator"]): Kernel(
                frozenset(row["types"].split()), row["version"]
            )
            for row in csv.DictReader(file)
        }


def unlisted(graph: onnx.GraphProto) -> list[Unlisted]:
    """The nodes that CUDA would leave to the CPU for want of a kernel."""
    types, found = _types(graph), []
    for node in graph.node:
        domain = "" if node.domain == "ai.onnx" else node.domain
        kernel = kernels().get((domain, node.op_type))
        known = frozenset() if kernel is None else kernel.types
        wanted = {types[name] for name in node.input[:1]}
        wanted |= {types[name] for name in node.input if name and types[name] in FLOATS}
        if node.op_type == "Cast":
            wanted.add(types[node.output[0]])
        if strange := sorted(wanted - known):
            found.append(Unlisted(node.name, node.op_type, strange[0]))
        elif kernel is None:  # it takes nothing
            found.append(Unlisted(node.name, node.op_type, "nothing"))
    return found


def host_nodes(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Arithmetic on sizes, which ONNX Runtime keeps on the CPU by design, in the graph's order.

    CUDA's Shape gives its numbers to the host, and whole numbers made of nothing else stay there.
    """
    types, there = _types(graph), {weight.name for weight in graph.initializer}
    sizes: set[str] = set()
    nodes = []
    for node in graph.node:
        given = [name for name in node.input if name]
        if node.op_type == "Shape" or (
            sizes.intersection(given)
            and all(name in sizes or name in there for name in given)
            and all(types[name] in ("int64", "int32", "bool") for name in node.output)
        ):
            sizes.update(node.output)
            nodes.append(node.name)
    return tuple(nodes)


def check_kernels(folder: Path, target: Target) -> dict[str, tuple[str, ...]]:
    """The nodes of the written graphs that stay on the CPU by design; none is said of a CPU's own.

    Raises CheckpointError for a graph that is for CUDA and that CUDA would not run alone.
    """
    if target == "cpu":
        return {}
    kept = {}
    for graph in names.GRAPHS:
        model = onnx.load(folder / f"{graph}.onnx", load_external_data=False).graph
        refuse_unlisted(graph, model)
        kept[graph] = host_nodes(model)
    return kept


def refuse_unlisted(graph: str, model: onnx.GraphProto) -> None:
    """Raise CheckpointError that names the first node of a graph that CUDA would not run."""
    if found := unlisted(model):
        raise CheckpointError(
            f"{graph}: CUDA has no kernel for {found[0].line} and {len(found) - 1} more nodes: it "
            "would run on the CPU: export with --target cpu"
        )


def _types(graph: onnx.GraphProto) -> dict[str, str]:
    """ONNX Runtime's name of every value's type: of what it is made of, unless it is a cast."""
    types = {
        info.name: NAMES.get(info.type.tensor_type.elem_type, "another type")
        for info in (*graph.input, *graph.value_info, *graph.output)
    }
    types |= {
        weight.name: NAMES.get(weight.data_type, "another type") for weight in graph.initializer
    }
    for node in graph.node:
        made = types[node.input[0]] if node.input else "another type"
        if node.op_type == "Cast":
            made = NAMES.get(node.attribute[0].i, "another type")
        elif node.op_type == "Shape":
            made = "int64"
        elif node.op_type in TRUTHS:
            made = "bool"
        for output in node.output:
            types.setdefault(output, made)
    return types
