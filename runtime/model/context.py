"""A KV cache being filled with temporal steps.

A context is opened once, then steps are appended, each prefilled at the positions of a clip that
starts with the context's first step. A question is text appended after a mark; rewinding to the
mark forgets it. Memory is allocated once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import manifest as names
from runtime.bundle.manifest import Manifest
from runtime.engines.engine import Engine
from runtime.engines.tensors import Tensor, on_host
from runtime.errors import NotFiniteError, QuestionError
from runtime.inputs.positions import rotary_rows, step_positions, text_after_video, text_positions

NO_ROWS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Mark:
    """A state of a context to which it can be rewound."""

    length: int
    steps: int
    next_text: int


class Context:
    """One clip in the decoder's memory.

    `grid` is the (height, width) in tokens of every step; `capacity` the tokens it can hold.
    """

    def __init__(
        self,
        decoder: Engine,
        manifest: Manifest,
        embeddings: NDArray[np.floating],
        grid: tuple[int, int],
        capacity: int,
        most_rows: int | None = None,
    ) -> None:
        """`embeddings`: the token embeddings, (vocabulary, D), usually memory-mapped.

        `most_rows`: tokens that are prefilled at once, None for all; for a device that computes no
        more of them right.
        """
        shape = manifest.geometry.decoder
        self._decoder = decoder
        self._manifest = manifest
        self._embeddings = embeddings
        self._grid = grid
        self._capacity = capacity
        self._most_rows = most_rows
        types = {spec.name: spec.type for spec in manifest.graphs[names.DECODER].inputs}
        self._cos = np.ones((capacity, shape.head_dim // 2), types[names.ROTARY_COS])
        self._sin = np.zeros((capacity, shape.head_dim // 2), types[names.ROTARY_SIN])
        injected = len(manifest.geometry.resampler.injected_layers)
        self._zero_residual = decoder.buffer((injected, 1, shape.width), types[names.RESIDUALS])
        buffer = (1, shape.kv_heads, capacity, shape.head_dim)
        self._past, self._present = {}, {}
        for layer in range(shape.layers):
            for past, present in (
                (names.past_key(layer), names.present_key(layer)),
                (names.past_value(layer), names.present_value(layer)),
            ):
                self._past[past] = self._present[present] = decoder.buffer(buffer, types[past])
        self._mark = Mark(length=0, steps=0, next_text=0)
        self.append_text(np.array(manifest.prompt.before_video), wanted=False)
        self._start = self._mark.next_text
        self._empty = self._mark

    @property
    def steps(self) -> int:
        """Temporal steps it holds."""
        return self._mark.steps

    @property
    def room(self) -> int:
        """Tokens that still fit."""
        return self._capacity - self._mark.length

    def mark(self) -> Mark:
        """The present state, to rewind to."""
        return self._mark

    def rewind(self, mark: Mark) -> None:
        """Forget everything appended since `mark` was taken."""
        self._mark = mark

    def clear(self) -> None:
        """Forget every step: the context is as when it was opened."""
        self._mark = self._empty

    def append_step(self, visual: Tensor, residuals: Tensor | None) -> None:
        """Prefill one step.

        `visual` (H*W, D): its visual embeddings. `residuals` (injected, H*W, D): what is added
        after the injected layers; None adds zero.
        """
        height, width = self._grid
        if visual.shape[0] != height * width:
            raise ValueError(f"a step of {visual.shape[0]} tokens in a context of {self._grid}")
        rule = self._manifest.positions
        positions = step_positions(rule, self._start, self._mark.steps, height, width)
        length = self._run(visual, positions, residuals, NO_ROWS)[1]
        steps = self._mark.steps + 1
        after = text_after_video(rule, self._start, steps, height, width)
        self._mark = Mark(length, steps, after)

    def append_text(self, tokens: NDArray[np.int64], wanted: bool = True) -> NDArray[np.float32]:
        """Prefill text tokens; returns the logits after the last one: (vocabulary,).

        With `wanted` False nothing reaches the head and the result is empty. Raises NotFiniteError
        for logits that are no numbers: something in the context is none.
        """
        first = self._mark.next_text
        positions = text_positions(first, len(tokens))
        rows = np.array([len(tokens) - 1], np.int64) if wanted else NO_ROWS
        embeddings = self._embeddings[tokens].astype(np.float32)
        logits, length = self._run(embeddings, positions, None, rows)
        if not np.isfinite(logits).all():
            raise NotFiniteError("the decoder computed what is no number")
        self._mark = Mark(length, self._mark.steps, first + len(tokens))
        return logits.reshape(-1)

    def _run(
        self,
        embeddings: Tensor,
        positions: NDArray[np.float32],
        residuals: Tensor | None,
        rows: NDArray[np.int64],
    ) -> tuple[NDArray[np.float32], int]:
        """Append tokens to the buffers; returns (logits of `rows`, the new length)."""
        past = self._mark.length
        total = past + embeddings.shape[0]
        if total > self._capacity:
            raise QuestionError(
                f"{embeddings.shape[0]} more tokens do not fit in the context "
                f"({past} of {self._capacity} are taken): ask a shorter question"
            )
        shape = self._manifest.geometry.decoder
        self._cos[past:total], self._sin[past:total] = rotary_rows(shape, positions)
        most, count = self._most_rows, embeddings.shape[0]
        if most is None or count <= most:
            return self._run_at(past, embeddings, residuals, rows), total
        embeddings = on_host(embeddings)
        residuals = None if residuals is None else on_host(residuals)
        logits = np.zeros((0, shape.vocabulary), np.float32)
        for first in range(0, count, most):
            piece = slice(first, min(first + most, count))
            wanted = rows[(rows >= piece.start) & (rows < piece.stop)] - first
            added = None if residuals is None else np.ascontiguousarray(residuals[:, piece])
            found = self._run_at(past + first, embeddings[piece], added, wanted)
            logits = np.concatenate([logits, found])
        return logits, total

    def _run_at(
        self,
        past: int,
        embeddings: Tensor,
        residuals: Tensor | None,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """The decoder over tokens that follow the `past` first ones; the logits of `rows`."""
        total = past + embeddings.shape[0]
        inputs = {
            names.EMBEDDINGS: embeddings.reshape(1, *embeddings.shape),
            names.ROTARY_COS: self._cos,
            names.ROTARY_SIN: self._sin,
            names.RESIDUALS: self._zero_residual if residuals is None else residuals,
            names.ROWS: rows,
            names.LAST_POSITION: np.array([total - 1], np.int32),
            names.TOTAL_LENGTH: np.array(total, np.int32),
            **self._past,
        }
        return self._decoder.run(inputs, into=self._present)[names.LOGITS]
