"""The table of token embeddings: floats, or six bits around zero with a scale for every 32 values.

A run reads a few rows of a mapped file on the host, so that no kernel has to know the format and
unpacking it takes no time that shows. Six bits lie between four, which would round a question's
words as coarsely as the weights, and eight, which a 7B bundle for a GPU has no room for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

TableFormat = Literal["float32", "float16", "six_bits"]

BLOCK = 32  # values along a row that share a scale
MOST = 31  # the largest whole number of a block, its value farthest from zero
MIDDLE = 32  # what stands for zero
SHIFTS = np.arange(0, 24, 6, dtype=np.uint32)  # of four values in a word of three bytes
VALUE_BYTES = BLOCK * 6 // 8
BLOCK_BYTES = VALUE_BYTES + 2  # the scale, float16, is last


class TokenRows(Protocol):
    """Whatever gives the embeddings of tokens."""

    def __getitem__(self, tokens: NDArray[np.int64], /) -> NDArray[np.floating]:
        """(tokens,) -> (tokens, D)."""


class TokenTable:
    """A table as it is stored, (vocabulary, `stored_width`), usually memory-mapped."""

    def __init__(self, stored: NDArray[np.generic], width: int) -> None:
        self._stored = stored
        self._width = width

    def __getitem__(self, tokens: NDArray[np.int64] | Sequence[int]) -> NDArray[np.float32]:
        """The embeddings of some tokens: (tokens, D)."""
        return restored_rows(np.asarray(self._stored[tokens]), self._width)

    def holds(self, vocabulary: int) -> bool:
        """Whether it is stored in a format that is known, for so many tokens."""
        kind = "six_bits" if self._stored.dtype == np.uint8 else self._stored.dtype.name
        known = kind in ("float32", "float16", "six_bits")
        return known and self._stored.shape == (vocabulary, stored_width(self._width, kind))


def stored_width(width: int, kind: TableFormat) -> int:
    """Elements of a stored row for `width` values: bytes in six bits, else floats."""
    return -(-width // BLOCK) * BLOCK_BYTES if kind == "six_bits" else width


def stored_type(kind: TableFormat) -> np.dtype[np.generic]:
    """The type of those elements."""
    return np.dtype(np.uint8 if kind == "six_bits" else kind)


def stored_rows(rows: NDArray[np.float32], kind: TableFormat) -> NDArray[np.generic]:
    """Embeddings (rows, D) as they are stored: (rows, `stored_width`)."""
    if kind != "six_bits":
        return rows.astype(kind)
    count, width = rows.shape
    blocks = np.pad(rows, ((0, 0), (0, -width % BLOCK))).reshape(count, -1, BLOCK)
    scales = (np.abs(blocks).max(axis=2, keepdims=True) / MOST).astype(np.float16)
    steps = np.divide(blocks, scales, out=np.zeros_like(blocks), where=scales > 0)
    values = (np.clip(np.rint(steps), -MOST, MOST) + MIDDLE).astype("<u4")
    words = (values.reshape(*blocks.shape[:2], -1, 4) << SHIFTS).sum(axis=3, dtype="<u4")
    packed = words[..., None].view(np.uint8)[..., :3].reshape(*blocks.shape[:2], VALUE_BYTES)
    return np.concatenate([packed, scales.astype("<f2").view(np.uint8)], axis=2).reshape(count, -1)


def restored_rows(stored: NDArray[np.generic], width: int) -> NDArray[np.float32]:
    """The embeddings (rows, `width`) that stored rows stand for."""
    if stored.dtype != np.uint8:
        return stored.astype(np.float32)
    count = len(stored)
    blocks = stored.reshape(count, -1, BLOCK_BYTES)
    threes = blocks[..., :VALUE_BYTES].reshape(*blocks.shape[:2], -1, 3)
    words = np.ascontiguousarray(np.pad(threes, ((0, 0),) * 3 + ((0, 1),))).view("<u4")
    values = ((words >> SHIFTS) & 63).astype(np.float32).reshape(*blocks.shape[:2], BLOCK) - MIDDLE
    scales = np.ascontiguousarray(blocks[..., VALUE_BYTES:]).view("<f2").astype(np.float32)
    return (values * scales).reshape(count, -1)[:, :width]
