"""A graph of one Reshape: what goes in comes out under a shape, wherever its output is bound to.

That is the one way to put a tensor on a device for which ONNX Runtime has no allocator of its own,
and to see it there under another shape. Source: onnx.proto of ONNX; the graph is small enough to be
written without the `onnx` package.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ELEMENTS = {"float32": 1, "int32": 6, "int64": 7, "float16": 10}  # of TensorProto.DataType
IR_VERSION, OPSET = 10, 18
GIVEN, SHAPE, RESULT = "given", "shape", "result"  # SHAPE: (axes,) int64, on the host


def placing_graph(dtype: np.dtype[Any]) -> bytes:
    """A model with one Reshape of `GIVEN` to `SHAPE`, which gives `RESULT`."""
    given, shape, result = (name.encode() for name in (GIVEN, SHAPE, RESULT))
    node = _message(1, given) + _message(1, shape) + _message(2, result) + _message(4, b"Reshape")
    graph = (
        _message(1, node)
        + _message(2, b"placing")
        + _message(11, _message(1, given) + _type(dtype.name))
        + _message(11, _message(1, shape) + _type("int64"))
        + _message(12, _message(1, result) + _type(dtype.name))
    )
    opset = _message(8, _message(1, b"") + _number(2, OPSET))
    return _number(1, IR_VERSION) + _message(7, graph) + opset


def _type(name: str) -> bytes:
    """A tensor of a type, of any shape."""
    return _message(2, _message(1, _number(1, ELEMENTS[name])))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
