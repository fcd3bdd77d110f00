"""Matrix multiplications of the decoder in one of several precisions.

A writer emits one product and can say which float32 matrix it holds: that matrix in PyTorch is what
the emitted graph is compared with. Matrices are worked on in pieces of rows, so that the head of a
7B model never lies in memory as float32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime.capi import _pybind_state as onnxruntime_quantizers
from torch import Tensor

from export.graph_writer import CONTRIB, GraphWriter
from runtime.manifest import Accumulation, Quantization, QuantizationKind

BLOCK = 32  # weights along a row that share a scale in int4
ROWS = 4096  # of a matrix that are worked on at a time
ERRORS = "rounding errors"  # among the facts of a graph
# Of MatMulNBits: the type that activations are brought to before they are multiplied.
ACCURACY_LEVELS: dict[Accumulation, int] = {"float": 1, "int8": 4}


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


class Linears(ABC):
    """Emits products of activations with weights, and remembers what rounding cost by kind."""

    kind: QuantizationKind
    block: int | None = None
    accumulation: Accumulation = "float"
    embedding_type: type[np.floating] = np.float16

    def __init__(self) -> None:
        self._errors: dict[str, RoundingError] = {}

    @abstractmethod
    def _pieces(self, weight: Tensor) -> dict[str, NDArray[np.generic]]:
        """What is stored of some rows of a matrix (rows, in), by the suffix of its name."""

    @abstractmethod
    def _restored(self, pieces: dict[str, NDArray[np.generic]], width: int) -> Tensor:
        """The float32 rows (rows, `width`) that stored pieces stand for."""

    @abstractmethod
    def _product(
        self, graph: GraphWriter, inputs: str, stored: list[str], shape: tuple[int, int], out: str
    ) -> str:
        """Emit `out = inputs @ weight.T` for a stored weight of `shape` (out, in)."""

    @property
    @abstractmethod
    def _suffixes(self) -> tuple[str, ...]:
        """Of the names of what is stored of a matrix."""

    def linear(
        self,
        graph: GraphWriter,
        name: str,
        inputs: str,
        weight: Tensor,
        output: str,
    ) -> str:
        """Emit `output = inputs @ weight.T`; `weight` is (out, in) of any float type."""
        kind = name.rsplit(".", 1)[-1]
        arrays, error = self._stored(weight)
        self._errors[kind] = self._errors.get(kind, RoundingError()) + error
        stored = [
            graph.weight(f"{name}.{suffix}", array)
            for suffix, array in zip(self._suffixes, arrays, strict=True)
        ]
        return self._product(graph, inputs, stored, tuple(weight.shape), output)

    def rounded(self, weight: Tensor) -> Tensor:
        """The float32 matrix (out, in) that the emitted graph multiplies with."""
        return torch.cat(list(self.rounded_rows(weight)))

    def rounded_rows(self, weight: Tensor) -> Iterator[Tensor]:
        """The same, some rows at a time."""
        for rows in weight.split(ROWS):
            yield self._restored(self._pieces(rows.float()), rows.shape[1])

    def facts(self) -> dict[str, str]:
        """What has to be known of the matrices that are written, to be kept with the graph."""
        return {ERRORS: msgspec.json.encode(self._errors).decode()}

    def resume(self, facts: Mapping[str, str]) -> None:
        """Go on from the facts that were kept with a graph."""
        self._errors = msgspec.json.decode(facts[ERRORS], type=dict[str, RoundingError])

    def summary(self) -> Quantization:
        """What the bundle's manifest says of it."""
        errors = {kind: error.relative for kind, error in sorted(self._errors.items())}
        return Quantization(self.kind, self.block, self.accumulation, errors)

    def _stored(self, weight: Tensor) -> tuple[list[NDArray[np.generic]], RoundingError]:
        parts, error = [], RoundingError()
        for rows in weight.split(ROWS):
            rows = rows.float()
            pieces = self._pieces(rows)
            change = self._restored(pieces, rows.shape[1]).sub_(rows)
            error += RoundingError(_square(change), _square(rows))
            parts.append(pieces)
        arrays = [self._joined([part[suffix] for part in parts]) for suffix in self._suffixes]
        return arrays, error

    def _joined(self, parts: list[NDArray[np.generic]]) -> NDArray[np.generic]:
        return np.concatenate(parts)


class Float32Linears(Linears):
    """Weights as they are."""

    kind = "float32"
    embedding_type = np.float32
    _type: type[np.floating] = np.float32

    @property
    def _suffixes(self) -> tuple[str, ...]:
        return ("weight",)

    def _pieces(self, weight: Tensor) -> dict[str, NDArray[np.generic]]:
        return {"weight": weight.T.contiguous().numpy().astype(self._type)}

    def _restored(self, pieces: dict[str, NDArray[np.generic]], width: int) -> Tensor:
        return torch.from_numpy(pieces["weight"].astype(np.float32)).T

    def _joined(self, parts: list[NDArray[np.generic]]) -> NDArray[np.generic]:
        return np.concatenate(parts, axis=-1)

    def _product(
        self, graph: GraphWriter, inputs: str, stored: list[str], shape: tuple[int, int], out: str
    ) -> str:
        return graph.node("MatMul", [inputs, stored[0]], [out])


class Float16Linears(Float32Linears):
    """Weights in float16, widened when the graph is loaded: half the bytes of a bundle."""

    kind = "fp16"
    embedding_type = np.float16
    _type = np.float16

    def _product(
        self, graph: GraphWriter, inputs: str, stored: list[str], shape: tuple[int, int], out: str
    ) -> str:
        wide = graph.node("Cast", [stored[0]], [f"{stored[0]}.wide"], to=1)
        return graph.node("MatMul", [inputs, wide], [out])


class Int4Linears(Linears):
    """Weights in 4 bits, each block of a row with a scale and a zero point of its own.

    The rounding is that of ONNX Runtime's quantizer for its MatMulNBits.
    """

    kind = "int4"
    block = BLOCK

    def __init__(self, accumulation: Accumulation) -> None:
        super().__init__()
        self.accumulation = accumulation

    @property
    def _suffixes(self) -> tuple[str, ...]:
        return "weight", "scales", "zero_points"

    def _pieces(self, weight: Tensor) -> dict[str, NDArray[np.generic]]:
        rows, width = weight.shape
        blocks = -(-width // BLOCK)
        packed = np.zeros((rows, blocks, BLOCK // 2), np.uint8)
        scales = np.zeros(rows * blocks, np.float32)
        zero_points = np.zeros(rows * ((blocks + 1) // 2), np.uint8)
        onnxruntime_quantizers.quantize_matmul_4bits(
            packed, weight.T.contiguous().numpy(), scales, zero_points, BLOCK, rows, width, False
        )
        return {"weight": packed, "scales": scales, "zero_points": zero_points}

    def _restored(self, pieces: dict[str, NDArray[np.generic]], width: int) -> Tensor:
        packed = torch.from_numpy(pieces["weight"])
        rows, blocks = packed.shape[:2]
        zero_points = _nibbles(torch.from_numpy(pieces["zero_points"]).view(rows, -1))[:, :blocks]
        scales = torch.from_numpy(pieces["scales"]).view(rows, blocks)
        values = _nibbles(packed)
        values.sub_(zero_points.unsqueeze(2)).mul_(scales.unsqueeze(2))
        return values.view(rows, -1)[:, :width]

    def _product(
        self, graph: GraphWriter, inputs: str, stored: list[str], shape: tuple[int, int], out: str
    ) -> str:
        return graph.node(
            "MatMulNBits",
            [inputs, *stored],
            [out],
            domain=CONTRIB,
            N=shape[0],
            K=shape[1],
            bits=4,
            block_size=BLOCK,
            accuracy_level=ACCURACY_LEVELS[self.accumulation],
        )


class Int8Linears(Linears):
    """Weights in 8 bits with a scale per row; activations are brought to 8 bits as they come."""

    kind = "int8"
    accumulation = "int8"

    @property
    def _suffixes(self) -> tuple[str, ...]:
        return "weight", "scales"

    def _pieces(self, weight: Tensor) -> dict[str, NDArray[np.generic]]:
        scales = weight.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127
        values = (weight / scales.unsqueeze(1)).round().to(torch.int8)
        return {"weight": values.T.contiguous().numpy(), "scales": scales.numpy()}

    def _restored(self, pieces: dict[str, NDArray[np.generic]], width: int) -> Tensor:
        return torch.from_numpy(pieces["weight"].T.astype(np.float32) * pieces["scales"][:, None])

    def _joined(self, parts: list[NDArray[np.generic]]) -> NDArray[np.generic]:
        return np.concatenate(parts, axis=-1)

    def _product(
        self, graph: GraphWriter, inputs: str, stored: list[str], shape: tuple[int, int], out: str
    ) -> str:
        return graph.node("DynamicQuantizeMatMul", [inputs, *stored], [out], domain=CONTRIB)


def linears(kind: QuantizationKind, accumulation: Accumulation) -> Linears:
    """The writer of a kind; `accumulation` concerns int4 alone."""
    if kind == "int4":
        return Int4Linears(accumulation)
    return {"int8": Int8Linears, "fp16": Float16Linears, "float32": Float32Linears}[kind]()


def _nibbles(packed: Tensor) -> Tensor:
    """The two 4-bit numbers of every byte, the low one first: (..., n) -> (..., 2 n) float32."""
    return torch.stack((packed & 15, packed >> 4), dim=-1).flatten(-2).float()


def _square(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values)) ** 2
