"""How a matrix of the decoder is stored and multiplied with, in one of several precisions.

A format can say which float32 matrix it holds: that matrix in PyTorch is what the emitted product
is compared with.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnxruntime.capi import _pybind_state as onnxruntime_quantizers
from torch import Tensor

from export.graphs.graph_writer import CONTRIB, GraphWriter
from export.graphs.precision import token_products
from runtime.bundle.manifest import Accumulation

BLOCK = 32  # weights along a row that share a scale and a zero point in four bits
WIDE_BLOCK = 128  # weights along a row that share a scale in eight bits
MIDDLE = 128  # what eight bits without a zero point hold for zero
FOUR_BIT_MIDDLE = 8  # and four
# Of MatMulNBits: the type that activations are brought to before they are multiplied.
ACCURACY_LEVELS: dict[Accumulation, int] = {"float": 1, "int8": 4}
Pieces = dict[str, NDArray[np.generic]]


class MatrixFormat(ABC):
    """A matrix (out, in) is given some rows at a time, and stored as arrays by suffix of a name.

    `value_type`: what bounds its values, those of its scales where it has some. `activation`: the
    type that its product takes and gives.
    """

    suffixes: tuple[str, ...] = ("weight", "scales")
    value_type: type[np.floating] = np.float32
    activation: type[np.floating] = np.float32

    @abstractmethod
    def pieces(self, weight: Tensor) -> Pieces:
        """What is stored of some float32 rows of a matrix (rows, in)."""

    @abstractmethod
    def restored(self, pieces: Pieces, width: int) -> Tensor:
        """The float32 rows (rows, `width`) that stored pieces stand for."""

    @abstractmethod
    def product(
        self, graph: GraphWriter, inputs: str, stored: list[str], shape: tuple[int, int], out: str
    ) -> str:
        """Emit `out = inputs @ weight.T` for a stored weight of `shape` (out, in)."""

    def joined(self, parts: list[NDArray[np.generic]]) -> NDArray[np.generic]:
        """The array of a whole matrix from those of its rows."""
        return np.concatenate(parts)


class Float32(MatrixFormat):
    """As they are."""

    suffixes = ("weight",)

    def pieces(self, weight: Tensor) -> Pieces:
        return {"weight": weight.T.contiguous().numpy().astype(self.value_type)}

    def restored(self, pieces: Pieces, width: int) -> Tensor:
        return torch.from_numpy(pieces["weight"].astype(np.float32)).T

    def joined(self, parts: list[NDArray[np.generic]]) -> NDArray[np.generic]:
        return np.concatenate(parts, axis=-1)

    def product(
        self, graph: GraphWriter, inputs: str, stored: list[str], shape: tuple[int, int], out: str
    ) -> str:
        return graph.node("MatMul", [inputs, stored[0]], [out])


class Float16(Float32):
    """In float16, widened when the graph is loaded: half the bytes of a bundle."""

    value_type = np.float16

    def product(
        self, graph: GraphWriter, inputs: str, stored: list[str], shape: tuple[int, int], out: str
    ) -> str:
        wide = graph.node("Cast", [stored[0]], [f"{stored[0]}.wide"], to=1)
        return graph.node("MatMul", [inputs, wide], [out])


class HalfProduct(Float32):
    """In float16 and multiplied so, for a GPU: sums are kept in float32 there."""

    value_type = np.float16
    activation = np.float16


class FourBits(MatrixFormat):
    """In 4 bits, each block of a row with a scale and a zero point of its own.

    The rounding is that of ONNX Runtime's quantizer for its MatMulNBits.
    """

    suffixes = ("weight", "scales", "zero_points")

    def __init__(self, accumulation: Accumulation) -> None:
        self._accumulation = accumulation

    def pieces(self, weight: Tensor) -> Pieces:
        return _four_bit_pieces(weight, symmetric=False)

    def restored(self, pieces: Pieces, width: int) -> Tensor:
        packed = torch.from_numpy(pieces["weight"])
        rows, blocks = packed.shape[:2]
        zero_points = _nibbles(torch.from_numpy(pieces["zero_points"]).view(rows, -1))[:, :blocks]
        scales = torch.from_numpy(pieces["scales"]).view(rows, blocks)
        values = _nibbles(packed)
        values.sub_(zero_points.unsqueeze(2)).mul_(scales.unsqueeze(2))
        return values.view(rows, -1)[:, :width]

    def product(
        self, graph: GraphWriter, inputs: str, stored: list[str], shape: tuple[int, int], out: str
    ) -> str:
        return _block_product(graph, inputs, stored, shape, out, 4, BLOCK, self._accumulation)


class SymmetricFourBits(MatrixFormat):
    """In 4 bits around zero, for a GPU: each block of a row with a float16 scale.

    ONNX Runtime's fused CUDA kernel (fpA_intB, of the published wheels) takes float16 activations,
    blocks of 32 and no zero points.
    """

    value_type = np.float16
    activation = np.float16

    def pieces(self, weight: Tensor) -> Pieces:
        pieces = _four_bit_pieces(weight, symmetric=True)
        return {"weight": pieces["weight"], "scales": pieces["scales"].astype(np.float16)}

    def restored(self, pieces: Pieces, width: int) -> Tensor:
        values = _nibbles(torch.from_numpy(pieces["weight"])) - FOUR_BIT_MIDDLE
        return _scaled(values, pieces["scales"])[:, :width]

    def product(
        self, graph: GraphWriter, inputs: str, stored: list[str], shape: tuple[int, int], out: str
    ) -> str:
        return _block_product(graph, inputs, stored, shape, out, 4, BLOCK)


class EightBits(MatrixFormat):
    """In 8 bits, each block of a row with a scale; activations are always brought to 8 bits.

    With float accumulation ONNX Runtime's MatMulNBits takes 50 times as long for one row on a CPU.
    """

    block: int = WIDE_BLOCK
    accumulation: Accumulation | None = "int8"

    def pieces(self, weight: Tensor) -> Pieces:
        blocks = F.pad(weight, (0, -weight.shape[1] % self.block)).unflatten(1, (-1, self.block))
        scales = _scales(blocks)
        values = ((blocks / scales.unsqueeze(2)).round() + MIDDLE).to(torch.uint8)
        stored = scales.flatten().numpy().astype(self.value_type)
        return {"weight": values.numpy(), "scales": stored}

    def restored(self, pieces: Pieces, width: int) -> Tensor:
        values = torch.from_numpy(pieces["weight"]).float() - MIDDLE
        return _scaled(values, pieces["scales"])[:, :width]

    def product(
        self, graph: GraphWriter, inputs: str, stored: list[str], shape: tuple[int, int], out: str
    ) -> str:
        return _block_product(graph, inputs, stored, shape, out, 8, self.block, self.accumulation)


class HalfEightBits(EightBits):
    """The same for a GPU, with what its fused kernel takes: see `SymmetricFourBits`."""

    value_type = np.float16
    activation = np.float16
    block = BLOCK
    accumulation = None


class EightBitRows(MatrixFormat):
    """In 8 bits with a scale per row; activations are brought to 8 bits token by token."""

    def pieces(self, weight: Tensor) -> Pieces:
        scales = _scales(weight)
        values = (weight / scales.unsqueeze(1)).round().to(torch.int8)
        return {"weight": values.T.contiguous().numpy(), "scales": scales.numpy()}

    def restored(self, pieces: Pieces, width: int) -> Tensor:
        return torch.from_numpy(pieces["weight"].T.astype(np.float32) * pieces["scales"][:, None])

    def joined(self, parts: list[NDArray[np.generic]]) -> NDArray[np.generic]:
        return np.concatenate(parts, axis=-1)

    def product(
        self, graph: GraphWriter, inputs: str, stored: list[str], shape: tuple[int, int], out: str
    ) -> str:
        for name, value in token_products.CONSTANTS.items():
            if not graph.holds(name):
                graph.constant(name, value)
        rounded = token_products.rounded_tokens(inputs)
        if not graph.holds(rounded[-1].name):
            graph.nodes(rounded)
        graph.nodes(token_products.product(inputs, *stored, out))
        return out


def _block_product(
    graph: GraphWriter,
    inputs: str,
    stored: list[str],
    shape: tuple[int, int],
    out: str,
    bits: int,
    block: int,
    accumulation: Accumulation | None = None,
) -> str:
    level = {} if accumulation is None else {"accuracy_level": ACCURACY_LEVELS[accumulation]}
    return graph.node(
        "MatMulNBits",
        [inputs, *stored],
        [out],
        domain=CONTRIB,
        N=shape[0],
        K=shape[1],
        bits=bits,
        block_size=block,
        **level,
    )


def _four_bit_pieces(weight: Tensor, symmetric: bool) -> Pieces:
    rows, width = weight.shape
    blocks = -(-width // BLOCK)
    packed = np.zeros((rows, blocks, BLOCK // 2), np.uint8)
    scales = np.zeros(rows * blocks, np.float32)
    zero_points = np.zeros(rows * ((blocks + 1) // 2), np.uint8)
    onnxruntime_quantizers.quantize_matmul_4bits(
        packed, weight.T.contiguous().numpy(), scales, zero_points, BLOCK, rows, width, symmetric
    )
    return {"weight": packed, "scales": scales, "zero_points": zero_points}


def _scaled(values: Tensor, scales: NDArray[np.generic]) -> Tensor:
    """Blocks (rows, blocks, block) times a scale each, as rows."""
    factors = torch.from_numpy(scales.astype(np.float32)).view(values.shape[:2])
    return (values * factors.unsqueeze(2)).flatten(1)


def _scales(values: Tensor) -> Tensor:
    """What makes 127 of the largest along the last axis."""
    return values.abs().amax(dim=-1).clamp(min=torch.finfo(torch.float32).tiny) / 127


def _nibbles(packed: Tensor) -> Tensor:
    """The two 4-bit numbers of every byte, the low one first: (..., n) -> (..., 2 n) float32."""
    return torch.stack((packed & 15, packed >> 4), dim=-1).flatten(-2).float()
