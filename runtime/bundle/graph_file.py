"""What an .onnx file says of itself, read without the `onnx` package: its tensors, its files.

Source: onnx.proto of ONNX (opset 18 and later). A graph is a few protobuf messages in each other;
of those, only the ones on the way to a stored tensor or to an input or output are looked into.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.bundle.manifest import TensorSpec
from runtime.errors import BundleError

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5  # protobuf's wire types
FIXED = {EIGHT_BYTES: 8, FOUR_BYTES: 4}
LONGEST_VARINT = 10  # bytes
DEEPEST = 100  # messages within messages
LARGEST = 1 << 28  # bytes of a graph whose weights lie beside it; export's largest has 1 MB

# What lies on the way from a model to its stored tensors: message, field number, message there.
NESTED: Mapping[str, Mapping[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {13: "StringStringEntryProto"},
    "StringStringEntryProto": {},
}
GRAPH, INPUT, OUTPUT = 7, 11, 12
TENSOR_TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
}

Field = int | memoryview


@dataclass(frozen=True, slots=True)
class GraphFile:
    """`inputs` and `outputs` as the graph declares them; `external`: files with its weights."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    external: frozenset[str]


def read_graph_file(path: Path) -> GraphFile:
    """Read what an .onnx file declares; its weights are skipped. Raises BundleError."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST} bytes")
        model = memoryview(path.read_bytes())
        return GraphFile(
            tuple(_declared(model, INPUT)),
            tuple(_declared(model, OUTPUT)),
            frozenset(_locations(model, "ModelProto", 0)),
        )
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: not an ONNX graph: {error}: copy the bundle again") from error


def _locations(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    """The files that tensors within a message are stored in."""
    if depth > DEEPEST:
        raise ValueError("it is nested too deep")
    if kind == "StringStringEntryProto":
        entry = dict(_fields(message))
        if _text(entry.get(1)) == "location":
            yield _text(entry.get(2))
        return
    for number, value in _fields(message):
        inside = NESTED[kind].get(number)
        if inside is not None and isinstance(value, memoryview):
            yield from _locations(value, inside, depth + 1)


def _declared(model: memoryview, where: int) -> Iterator[TensorSpec]:
    """The inputs or outputs of the model's graph."""
    for graph in _inside(model, GRAPH):
        for value in _inside(graph, where):
            names = [_text(name) for name in _inside(value, 1)]
            yield _tensor_spec(names[-1] if names else "", value)


def _tensor_spec(name: str, value: memoryview) -> TensorSpec:
    kind, shape = 0, []
    for value_type in _inside(value, 2):
        for tensor in _inside(value_type, 1):
            for number, field in _fields(tensor):
                if number == 1 and isinstance(field, int):
                    kind = field
                elif number == 2 and isinstance(field, memoryview):
                    shape += [_axis(axis) for axis in _inside(field, 1)]
    if kind not in TENSOR_TYPES:
        raise ValueError(f"{name!r} is a tensor of type {kind}")
    return TensorSpec(name, TENSOR_TYPES[kind], tuple(shape))


def _axis(axis: memoryview) -> int | str:
    """A size, or the word for one that varies."""
    fields = dict(_fields(axis))
    size = fields.get(1, 0)
    return _text(fields.get(2)) or (size if isinstance(size, int) else 0)


def _inside(message: memoryview, wanted: int) -> Iterator[memoryview]:
    return (
        value
        for number, value in _fields(message)
        if number == wanted and isinstance(value, memoryview)
    )


def _text(field: Field | None) -> str:
    return str(field, "utf-8") if isinstance(field, memoryview) else ""


def _fields(message: memoryview) -> Iterator[tuple[int, Field]]:
    """Number and value of each field of a message, in order. Raises ValueError."""
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if wire == BYTES:
            length, place = _varint(message, place)
        elif wire in FIXED:
            length = FIXED[wire]
        else:
            raise ValueError("it is damaged")
        if length > end - place:
            raise ValueError("it ends too early")
        yield number, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A whole number of up to 64 bits, and where it ends."""
    value = 0
    for count, byte in enumerate(message[place : place + LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, place + count + 1
    raise ValueError("it ends too early")
