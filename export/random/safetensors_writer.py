"""Safetensors shards written piece by piece: no tensor is ever whole in memory.

Format: a length (8 bytes, little-endian), a JSON header with the type, shape and byte range of
every tensor, then the tensors. The library's own writer takes whole tensors only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from export import files

TYPE_NAMES = {torch.float32: "F32", torch.bfloat16: "BF16"}
ALIGNMENT = 8

Shape = tuple[int, ...]
Pieces = Callable[[str, Shape], Iterator[Tensor]]
Advance = Callable[[int], None]


def write_shards(
    folder: Path,
    shapes: Mapping[str, Shape],
    dtype: torch.dtype,
    shard_bytes: int,
    pieces: Pieces,
    advance: Advance,
) -> None:
    """Write `model-XXXXX-of-XXXXX.safetensors` and their index.

    `pieces(name, shape)` yields a tensor's elements in order; `advance(n)` hears of every n bytes
    written. The index comes last: without it an interrupted folder is not taken for a checkpoint.
    """
    index = folder / "model.safetensors.index.json"
    index.unlink(missing_ok=True)
    shards = _shards(shapes, dtype, shard_bytes)
    weight_map = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        _write_shard(folder / file, shard, dtype, pieces, advance)
        weight_map |= dict.fromkeys(shard, file)
    total = sum(map(math.prod, shapes.values())) * dtype.itemsize
    content = {"metadata": {"total_size": total}, "weight_map": weight_map}
    files.write(index, (json.dumps(content, indent=2) + "\n").encode())


def _shards(shapes: Mapping[str, Shape], dtype: torch.dtype, limit: int) -> list[dict[str, Shape]]:
    """Tensors in order, a new shard where the next one would pass the limit."""
    shards: list[dict[str, Shape]] = [{}]
    filled = 0
    for name, shape in shapes.items():
        size = math.prod(shape) * dtype.itemsize
        if shards[-1] and filled + size > limit:
            shards.append({})
            filled = 0
        shards[-1][name] = shape
        filled += size
    return shards


def _write_shard(
    path: Path, shapes: Mapping[str, Shape], dtype: torch.dtype, pieces: Pieces, advance: Advance
) -> None:
    with files.writing(path) as file:
        header = _header(shapes, dtype)
        file.write(len(header).to_bytes(8, "little") + header)
        for name, shape in shapes.items():
            for piece in pieces(name, shape):
                content = piece.to(dtype).view(torch.uint8).numpy()
                file.write(content.data)
                advance(content.nbytes)


def _header(shapes: Mapping[str, Shape], dtype: torch.dtype) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, shape in shapes.items():
        end = start + math.prod(shape) * dtype.itemsize
        entries[name] = {
            "dtype": TYPE_NAMES[dtype],
            "shape": list(shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    return text.ljust(-(-len(text) // ALIGNMENT) * ALIGNMENT)
