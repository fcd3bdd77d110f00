"""Runs of the decoder: what one appends to a context, or to two contexts at once.

On a GPU a run costs what reading the decoder's weights does, whatever it appends. So a decoder for
CUDA appends to two contexts in one run; where there is only one, the other is `idle`, of one token
that nothing ever reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import names
from runtime.bundle.manifest import Manifest
from runtime.engines.engine import Engine
from runtime.engines.tensors import DeviceTensor, Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Addition:
    """What a run appends to one context: `tokens` of them.

    `inputs` by name, those that all contexts share left out; `buffers`: where keys and values go.
    """

    inputs: Mapping[str, Tensor]
    buffers: Mapping[str, DeviceTensor]
    tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class Buffers:
    """The keys and values of one context, under the names of what is read and what is written."""

    past: Mapping[str, DeviceTensor]
    present: Mapping[str, DeviceTensor]

    @classmethod
    def allocate(cls, decoder: Engine, manifest: Manifest, capacity: int) -> Buffers:
        """For `capacity` tokens: per layer (1, kv_heads, capacity, head_dim), zeroed."""
        shape, types = manifest.geometry.decoder, input_types(manifest)
        size = (1, shape.kv_heads, capacity, shape.head_dim)
        past, present = {}, {}
        for layer in range(shape.layers):
            for read, written in (
                (names.past_key(layer), names.present_key(layer)),
                (names.past_value(layer), names.present_value(layer)),
            ):
                past[read] = present[written] = decoder.buffer(size, types[read])
        return cls(past, present)


def input_types(manifest: Manifest) -> dict[str, str]:
    """The decoder's inputs and their types."""
    return {spec.name: spec.type for spec in manifest.graphs[names.DECODER].inputs}


def idle(decoder: Engine, manifest: Manifest, zero_residual: Tensor) -> Addition:
    """What stands in the place of a second context where there is none."""
    shape, types = manifest.geometry.decoder, input_types(manifest)
    buffers, half = Buffers.allocate(decoder, manifest, 1), shape.head_dim // 2
    inputs = {
        names.EMBEDDINGS: decoder.buffer((1, 1, shape.width), types[names.EMBEDDINGS]),
        names.ROTARY_COS: np.ones((1, half), types[names.ROTARY_COS]),
        names.ROTARY_SIN: np.zeros((1, half), types[names.ROTARY_SIN]),
        names.RESIDUALS: zero_residual,
        names.LAST_POSITION: np.zeros(1, np.int32),
        names.TOTAL_LENGTH: np.array(1, np.int32),
        **buffers.past,
    }
    return Addition(inputs, buffers.present, 1)


def run(
    decoder: Engine, one: Addition, other: Addition | None, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Append to one context, or to two; returns the logits of `rows` of the first."""
    inputs, buffers = {**one.inputs, names.ROWS: rows}, dict(one.buffers)
    if other is not None:
        inputs |= {names.beside(name): tensor for name, tensor in other.inputs.items()}
        inputs[names.PAIR_SIZES] = np.array([one.tokens, other.tokens], np.int64)
        buffers |= {names.beside(name): buffer for name, buffer in other.buffers.items()}
    return decoder.run(inputs, into=buffers)[names.LOGITS]
