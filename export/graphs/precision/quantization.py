"""The precision of a decoder: which format each of its matrices is stored in, and what that costs.

Matrices are worked on in pieces of rows, so that the head of a 7B model never lies in memory as
float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.checkpoints.common import CheckpointError
from export.graphs.graph_writer import GraphWriter
from export.graphs.precision.matrices import (
    BLOCK,
    EightBitRows,
    EightBits,
    Float16,
    Float32,
    FourBits,
    HalfEightBits,
    HalfProduct,
    MatrixFormat,
    SymmetricFourBits,
)
from runtime.bundle import token_table as table
from runtime.bundle.manifest import Accumulation, Quantization, QuantizationKind, Target
from runtime.bundle.token_table import TableFormat

EMBEDDINGS = "embed_tokens.weight"
MATRICES = ("_proj.weight", "lm_head.weight")  # how the names end of what is multiplied with
ROWS = 4096  # of a matrix that are worked on at a time
ERRORS = "rounding errors"  # among the facts of a graph
# What int4-mixed keeps in eight bits: few bytes, and most of what rounding does to the logits.
TENDER = frozenset({"kv", "k_proj", "v_proj", "o_proj", "lm_head"})


class WeightSource(Protocol):
    """Tensors of the decoder under their canonical names, LoRA merged."""

    def tensor(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """The tensor `name`, cast to `dtype`."""
        ...


@dataclass(frozen=True, slots=True)
class RoundingError:
    """Sums of squares over a matrix: of what rounding changed, and of the values."""

    changed: float = 0.0
    total: float = 0.0

    def __add__(self, other: RoundingError) -> RoundingError:
        return RoundingError(self.changed + other.changed, self.total + other.total)

    @property
    def relative(self) -> float:
        """The relative error of the matrix as a whole."""
        return (self.changed / self.total) ** 0.5 if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Precision:
    """`usual`: the format of most matrices; `tender`: of the kinds in TENDER.

    `packing`: which of a layer's queries, keys and values are one matrix. `accumulation`: the
    coarsest that activations are brought to. `table`: of the token embeddings. `attention`: the
    type of queries, keys, values and rotary rows; CUDA has its kernel in 16 bits only. `in_pairs`:
    a run appends to two contexts, as on a GPU, where a prefill costs what reading the weights does.
    """

    kind: QuantizationKind
    usual: MatrixFormat
    tender: MatrixFormat
    block: int | None
    accumulation: Accumulation
    table: TableFormat
    packing: tuple[str, ...] = ("qkv",)
    target: Target = "cpu"
    attention: type[np.floating] = np.float32
    in_pairs: bool = False

    def format(self, kind: str) -> MatrixFormat:
        """Of a matrix of a kind, the last part of its name."""
        return self.tender if kind in TENDER else self.usual


class Linears:
    """Emits products of activations with weights, and remembers what rounding cost by kind.

    A name ends with the matrix' kind, as in `layers.3.self_attn.o_proj`.
    """

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self._errors: dict[str, RoundingError] = {}

    def linear(
        self,
        graph: GraphWriter,
        name: str,
        inputs: str,
        weight: Tensor,
        output: str,
    ) -> str:
        """Emit `output = inputs @ weight.T`; `weight` is (out, in) of any float type.

        Raises CheckpointError for values that are not finite, or do not stay so.
        """
        kind = _kind(name)
        chosen = self.precision.format(kind)
        arrays, error = _stored(chosen, weight)
        if not math.isfinite(error.changed + error.total):
            raise CheckpointError(f"{name}: its values can't be stored as {self.precision.kind}")
        self._errors[kind] = self._errors.get(kind, RoundingError()) + error
        stored = [
            graph.weight(f"{name}.{suffix}", array)
            for suffix, array in zip(chosen.suffixes, arrays, strict=True)
        ]
        if chosen.activation is np.float32:
            return chosen.product(graph, inputs, stored, tuple(weight.shape), output)
        given = graph.cast(inputs, chosen.activation, f"{name}.given")
        shape = tuple(weight.shape)
        narrow = chosen.product(graph, given, stored, shape, f"{output}.narrow")
        return graph.cast(narrow, np.float32, output)

    def stored_type(self, name: str) -> type[np.floating]:
        """The narrowest float type in which values of a tensor are stored as they are."""
        if name == EMBEDDINGS:
            return np.float32 if self.precision.table == "float32" else np.float16
        return self.precision.format(_kind(name)).value_type if _is_matrix(name) else np.float32

    def stored_bytes(self, name: str, shape: tuple[int, ...]) -> int:
        """What a tensor of the decoder takes on the disk."""
        if name == EMBEDDINGS:
            tokens, width = shape
            kind = self.precision.table
            return tokens * table.stored_width(width, kind) * table.stored_type(kind).itemsize
        if not _is_matrix(name):
            return math.prod(shape) * np.dtype(self.stored_type(name)).itemsize
        rows, width = shape
        pieces = self.precision.format(_kind(name)).pieces(torch.zeros(1, width))
        return rows * sum(array.nbytes for array in pieces.values())

    def rounded(self, name: str, weight: Tensor) -> Tensor:
        """The float32 matrix (out, in) that the emitted graph multiplies with."""
        return torch.cat(list(self.rounded_rows(name, weight)))

    def rounded_rows(self, name: str, weight: Tensor) -> Iterator[Tensor]:
        """The same, some rows at a time."""
        chosen = self.precision.format(_kind(name))
        for rows in weight.split(ROWS):
            yield chosen.restored(chosen.pieces(rows.float()), rows.shape[1])

    def note_table(self, weights: WeightSource) -> None:
        """Remember what rounding costs the token embeddings, where they are no floats."""
        kind, error = self.precision.table, RoundingError()
        if kind != "six_bits":
            return
        for rows in weights.tensor(EMBEDDINGS).split(ROWS):
            rows = rows.float()
            stored = table.stored_rows(rows.numpy(), kind)
            change = torch.from_numpy(table.restored_rows(stored, rows.shape[1])).sub_(rows)
            error += RoundingError(_square(change), _square(rows))
        self._errors[_kind(EMBEDDINGS)] = error

    def facts(self) -> dict[str, str]:
        """What has to be known of the matrices that are written, to be kept with the graph."""
        return {ERRORS: msgspec.json.encode(self._errors).decode()}

    def resume(self, facts: Mapping[str, str]) -> None:
        """Go on from the facts that were kept with a graph."""
        self._errors = msgspec.json.decode(facts[ERRORS], type=dict[str, RoundingError])

    def summary(self) -> Quantization:
        """What the bundle's manifest says of it."""
        precision = self.precision
        errors = {kind: error.relative for kind, error in sorted(self._errors.items())}
        return Quantization(precision.kind, precision.block, precision.accumulation, errors)


def linears(
    kind: QuantizationKind, accumulation: Accumulation = "float", target: Target = "cpu"
) -> Linears:
    """The writer of a kind; `accumulation` concerns what a CPU has in four bits.

    Raises CheckpointError for what CUDA has no kernel for.
    """
    if target == "cpu":
        return Linears(_precision(kind, accumulation))
    if kind == "int8" or accumulation == "int8":
        option = "--quant int8" if kind == "int8" else "--accumulate int8"
        raise CheckpointError(
            f"{option} brings activations to 8 bits as they come, and CUDA has no kernel for that: "
            "export with --quant int4 alone, or with --target cpu"
        )
    return Linears(_cuda_precision(kind))


def _cuda_precision(kind: QuantizationKind) -> Precision:
    """Products and attention in float16, with sums in float32; the stream between is float32."""
    formats: dict[QuantizationKind, tuple[MatrixFormat, MatrixFormat, tuple[str, ...]]] = {
        "int4": (SymmetricFourBits(), SymmetricFourBits(), ("qkv",)),
        "int4-mixed": (SymmetricFourBits(), HalfEightBits(), ("q", "kv")),
        "fp16": (HalfProduct(), HalfProduct(), ("qkv",)),
        "float32": (Float32(), Float32(), ("qkv",)),
    }
    usual, tender, packing = formats[kind]
    block = BLOCK if kind.startswith("int4") else None
    tables: dict[QuantizationKind, TableFormat] = {"fp16": "float16", "float32": "float32"}
    rows = tables.get(kind, "six_bits")
    half = np.float16
    return Precision(kind, usual, tender, block, "float", rows, packing, "cuda", half, True)


def _precision(kind: QuantizationKind, accumulation: Accumulation) -> Precision:
    four = FourBits(accumulation)
    if kind == "int4":
        return Precision(kind, four, four, BLOCK, accumulation, "float16")
    if kind == "int4-mixed":
        return Precision(kind, four, EightBits(), BLOCK, "int8", "float16", ("q", "kv"))
    if kind == "int8":
        rows = EightBitRows()
        return Precision(kind, rows, rows, None, "int8", "float16")
    if kind == "fp16":
        return Precision(kind, Float16(), Float16(), None, "float", "float16")
    return Precision(kind, Float32(), Float32(), None, "float", "float32")


def _is_matrix(name: str) -> bool:
    return name.endswith(MATRICES)


def _kind(name: str) -> str:
    return name.removesuffix(".weight").rsplit(".", 1)[-1]


def _stored(
    chosen: MatrixFormat, weight: Tensor
) -> tuple[list[NDArray[np.generic]], RoundingError]:
    parts, error = [], RoundingError()
    for rows in weight.split(ROWS):
        rows = rows.float()
        pieces = chosen.pieces(rows)
        change = chosen.restored(pieces, rows.shape[1]).sub_(rows)
        error += RoundingError(_square(change), _square(rows))
        parts.append(pieces)
    arrays = [chosen.joined([part[suffix] for part in parts]) for suffix in chosen.suffixes]
    return arrays, error


def _square(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values)) ** 2
