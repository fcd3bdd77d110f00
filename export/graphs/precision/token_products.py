"""Products in 8 bits, each token by its own largest value: as if it were multiplied alone.

One scale for all tokens of a run, as ONNX Runtime's DynamicQuantizeMatMul has it, rounds to nothing
what stands beside a token a thousand times larger, lets a token that is no number vanish, and makes
of a prefill what depends on how it is grouped.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from export.graphs.graph_writer import CONTRIB

LARGEST, MIDDLE = 127, 128  # of a value in 8 bits, and what they hold for zero
_LEAST, _AXIS, _UNIT, _ZERO = (f"token.{name}" for name in ("least", "axis", "unit", "zero"))
CONSTANTS: Mapping[str, NDArray[np.generic]] = {
    _LEAST: np.array(np.finfo(np.float32).tiny, np.float32),  # for a token that is all zeros
    _AXIS: np.array([-1], np.int64),
    _UNIT: np.array(1 / LARGEST, np.float32),
    _ZERO: np.array(MIDDLE, np.uint8),
}
"""What the nodes below take by name: a graph holds each of them once."""


def rounded_tokens(tokens: str) -> list[NodeProto]:
    """Tokens (..., n, in) float32 in 8 bits, for all products of them."""
    sizes, largest, size, unit, bits = _names(tokens)
    return [
        helper.make_node("Abs", [tokens], [sizes], sizes),
        helper.make_node("ReduceMax", [sizes, _AXIS], [largest], largest, keepdims=1),
        helper.make_node("Max", [largest, _LEAST], [size], size),
        helper.make_node("Div", [tokens, size], [unit], unit),
        helper.make_node("QuantizeLinear", [unit, _UNIT, _ZERO], [bits], bits),
    ]


def product(tokens: str, weight: str, scales: str, out: str) -> list[NodeProto]:
    """`out` (..., n, rows) of tokens that `rounded_tokens` was given, and a weight (in, rows) int8
    with a scale per row."""
    _, _, size, _, bits = _names(tokens)
    unit = f"{out}.of_unit"
    taken = [bits, weight, _UNIT, scales, _ZERO]
    return [
        helper.make_node("MatMulIntegerToFloat", taken, [unit], unit, domain=CONTRIB),
        helper.make_node("Mul", [unit, size], [out], out),
    ]


def _names(tokens: str) -> tuple[str, ...]:
    return tuple(f"{tokens}.{part}" for part in ("sizes", "largest", "size", "unit", "bits"))
