"""What decoders of random weights are given, and what each of them has to be able to do.

All hold the same weights, those that bf16 holds, and are given the same tokens: as embeddings,
which is how visual tokens come, or by their numbers where a decoder takes nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from export.checkpoints.qwen_config import DecoderGeometry
from export.random.tensors import random_tensor
from runtime.bundle.manifest import DecoderShape

THREADS = 1
ANSWER = 16  # tokens whose logits are compared
EMBEDDINGS, HEAD = "embed_tokens.weight", "lm_head.weight"


class DrawnWeights:
    """Random tensors of the decoder by their canonical names, as bf16 holds them."""

    def __init__(self, geometry: DecoderGeometry) -> None:
        self._shapes = geometry.shapes()

    def tensor(self, name: str, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Draw one tensor; tied embeddings are the head too."""
        drawn = name if name in self._shapes else EMBEDDINGS
        tensor = random_tensor(drawn, self._shapes[drawn], seed=0).to(torch.bfloat16)
        return tensor.to(dtype or torch.bfloat16)


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """`context` (tokens,) is prefilled in steps of `step`; then the tokens of `answer` come.

    `table` (distinct tokens, D) float32 holds the embeddings of `known`, which both are made of.
    `residuals` (injected, step, D) are added to every step, as in a live run: zero, unless
    `injected`, so that a decoder that can't add any gives the same logits.
    """

    context: NDArray[np.int64]
    answer: NDArray[np.int64]
    known: NDArray[np.int64]
    table: NDArray[np.float32]
    residuals: NDArray[np.float32]
    step: int

    @classmethod
    def drawn(cls, geometry: DecoderGeometry, tokens: int, step: int) -> Workload:
        """Random tokens; layers are injected as in the released model."""
        rng = np.random.default_rng(0)
        drawn = rng.integers(0, geometry.vocabulary, tokens + ANSWER)
        known = np.unique(drawn)
        embeddings = DrawnWeights(geometry).tensor(EMBEDDINGS)
        table = embeddings[torch.from_numpy(known)].float().numpy()
        residuals = np.zeros((len(injected_layers(geometry)), step, geometry.width), np.float32)
        return cls(drawn[:tokens], drawn[tokens:], known, table, residuals, step)

    def injected(self) -> Workload:
        """The same with residuals as large as what they are added to."""
        shape = self.residuals.shape
        drawn = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
        return replace(self, residuals=drawn)

    @property
    def steps(self) -> int:
        """In the context; the last may be shorter."""
        return -(-len(self.context) // self.step)

    def tokens_of(self, step: int) -> NDArray[np.int64]:
        """The numbers of the tokens of a step."""
        return self.context[step * self.step : (step + 1) * self.step]

    def embedded(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """The embeddings of tokens that occur here: (tokens, D)."""
        return self.table[np.searchsorted(self.known, tokens)]


class Decoder(Protocol):
    """A decoder that can be timed: seconds that it took, as it measures them itself.

    `stored`: bytes of its weights, those that make logits with them; None where unknown.
    """

    name: str
    stored: int | None

    def clear(self) -> None:
        """An empty context."""
        ...

    def append(self, step: int) -> float:
        """Prefill a step of the workload behind those before it, without logits; seconds."""
        ...

    def decode(self) -> float:
        """The first token of the answer behind what is there, with its logits; seconds.

        The context is left as it was.
        """
        ...

    def follow(self) -> NDArray[np.float32]:
        """All tokens of the answer: logits (answer, vocabulary). The context is left as it was."""
        ...


def seconds(work: Callable[[], object]) -> float:
    """What some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def prefill(decoder: Decoder, workload: Workload) -> float:
    """The whole context into an empty one; seconds."""
    decoder.clear()
    return sum(decoder.append(step) for step in range(workload.steps))


def injected_layers(geometry: DecoderGeometry) -> tuple[int, ...]:
    """Those of the released model, the dead last one left out."""
    quarter = geometry.layers / 4
    return tuple(int((index + 1) * quarter) - 1 for index in range(3))


def prefill_operations(geometry: DecoderGeometry, tokens: int) -> int:
    """Floating-point operations that prefilling `tokens` without logits needs.

    Of the last layer only keys and values are needed; its query comes with them, being packed.
    """
    attended = tokens * (tokens + 1) // 2
    heads, pairs = geometry.heads * geometry.head_dim, 2 * geometry.kv_heads * geometry.head_dim
    packed = geometry.width * (heads + pairs)
    rest = heads * geometry.width + 3 * geometry.width * geometry.intermediate
    layers = geometry.layers
    products = 2 * tokens * (layers * packed + (layers - 1) * rest)
    return products + (layers - 1) * 4 * attended * heads


def decoder_shape(geometry: DecoderGeometry) -> DecoderShape:
    """What the runtime has to know of its sizes."""
    return DecoderShape(
        layers=geometry.layers,
        width=geometry.width,
        heads=geometry.heads,
        kv_heads=geometry.kv_heads,
        head_dim=geometry.head_dim,
        vocabulary=geometry.vocabulary,
        rope_theta=geometry.rope_theta,
        mrope_section=geometry.mrope_section,
    )
