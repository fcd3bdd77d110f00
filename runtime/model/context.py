"""A KV cache being filled with temporal steps.

A context is opened once, then steps are appended, each prefilled at the positions of a clip that
starts with the context's first step. A question is text appended after a mark; rewinding to the
mark forgets it. Memory is allocated once.

Where a run costs more than what is computed in it, what can go into one does: a step into two
contexts, and a step with the text that follows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import names
from runtime.bundle.manifest import Manifest
from runtime.bundle.signatures import takes_pairs
from runtime.bundle.token_table import TokenRows
from runtime.engines.engine import Engine
from runtime.engines.tensors import Tensor, on_host
from runtime.errors import NotFiniteError, QuestionError
from runtime.inputs.positions import rotary_rows, step_positions, text_after_video, text_positions
from runtime.model.runs import Addition, Buffers, idle, input_types, run

NO_ROWS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Mark:
    """A state of a context to which it can be rewound."""

    length: int
    steps: int
    next_text: int


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A step that goes into the next run, with the text that is appended then."""

    visual: Tensor
    residuals: Tensor | None
    positions: NDArray[np.float32]


class Context:
    """One clip in the decoder's memory.

    `grid` is the (height, width) in tokens of every step; `capacity` the tokens it can hold.
    `saves_runs`: whether two contexts, or a step and text, go into one run of the decoder.
    """

    saves_runs = False
    _waiting: _Waiting | None = None

    def __init__(
        self,
        decoder: Engine,
        manifest: Manifest,
        embeddings: TokenRows,
        grid: tuple[int, int],
        capacity: int,
        most_rows: int | None = None,
    ) -> None:
        """`embeddings`: those of tokens, usually from a file that is mapped into memory.

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
        types = input_types(manifest)
        self._cos = np.ones((capacity, shape.head_dim // 2), types[names.ROTARY_COS])
        self._sin = np.zeros((capacity, shape.head_dim // 2), types[names.ROTARY_SIN])
        injected = len(manifest.geometry.resampler.injected_layers)
        self._zero_residual = decoder.buffer((injected, 1, shape.width), types[names.RESIDUALS])
        self._buffers = Buffers.allocate(decoder, manifest, capacity)
        self.saves_runs = takes_pairs(manifest)
        self._idle = idle(decoder, manifest, self._zero_residual) if self.saves_runs else None
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
        if mark.length <= self._written:
            self._waiting = None
        self._mark = mark

    def clear(self) -> None:
        """Forget every step: the context is as when it was opened."""
        self.rewind(self._empty)

    def append_step(self, visual: Tensor, residuals: Tensor | None) -> None:
        """Prefill one step.

        `visual` (H*W, D): its visual embeddings. `residuals` (injected, H*W, D): what is added
        after the injected layers; None adds zero.
        """
        self._write_waiting()
        positions, after = self._step(visual)
        self._run(visual, positions, residuals, NO_ROWS)
        self._mark = after

    def append_step_beside(self, other: Context, visual: Tensor, residuals: Tensor | None) -> None:
        """Prefill one step here and in `other`, in one run if it may have so many rows.

        Only where runs are saved.
        """
        if self._most_rows is not None and 2 * visual.shape[0] > self._most_rows:
            self.append_step(visual, residuals)
            other.append_step(visual, residuals)
            return
        additions, marks = [], []
        for context in (self, other):
            context._write_waiting()
            positions, after = context._step(visual)
            context._total(visual.shape[0])
            additions.append(context._addition(context._written, visual, positions, residuals))
            marks.append(after)
        run(self._decoder, *additions, NO_ROWS)
        self._mark, other._mark = marks

    def defer_step(self, visual: Tensor, residuals: Tensor | None) -> None:
        """Append one step; where that saves a run, it is prefilled with the text that follows."""
        if not self.saves_runs:
            self.append_step(visual, residuals)
            return
        self._write_waiting()
        positions, after = self._step(visual)
        self._total(visual.shape[0])
        self._waiting, self._mark = _Waiting(visual, residuals, positions), after

    def append_text(self, tokens: NDArray[np.int64], wanted: bool = True) -> NDArray[np.float32]:
        """Prefill text tokens; returns the logits after the last one: (vocabulary,).

        With `wanted` False nothing reaches the head and the result is empty. Raises NotFiniteError
        for logits that are no numbers: something in the context is none.
        """
        first = self._mark.next_text
        positions = text_positions(first, len(tokens))
        rows = np.array([len(tokens) - 1], np.int64) if wanted else NO_ROWS
        embeddings, residuals = self._embeddings[tokens].astype(np.float32), None
        if (waiting := self._waiting) is not None:
            rows = rows + waiting.visual.shape[0]
            positions = np.concatenate([waiting.positions, positions], axis=1)
            embeddings, residuals = _followed(waiting, embeddings)
        logits, length = self._run(embeddings, positions, residuals, rows)
        self._waiting = None
        if not np.isfinite(logits).all():
            raise NotFiniteError("the decoder computed what is no number")
        self._mark = Mark(length, self._mark.steps, first + len(tokens))
        return logits.reshape(-1)

    def append_at_once(
        self, steps: Sequence[tuple[Tensor, Tensor | None]], tokens: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Prefill steps, each as for `append_step`, and text behind them in one run, which no
        stream does; for a proof of as many rows. As `append_text` beyond that."""
        before, positions = self._mark, []
        for visual, _ in steps:
            where, self._mark = self._step(visual)
            positions.append(where)
        after, self._mark = self._mark, before
        positions.append(text_positions(after.next_text, len(tokens)))
        embeddings = [*(on_host(visual) for visual, _ in steps)]
        embeddings.append(self._embeddings[tokens].astype(np.float32))
        zero = on_host(self._zero_residual)
        residuals = [
            np.repeat(zero, len(visual), axis=1) if added is None else on_host(added)
            for visual, added in [*steps, (tokens, None)]
        ]
        given = np.concatenate(embeddings), np.concatenate(positions, axis=1)
        last = np.array([len(given[0]) - 1])
        logits, length = self._run(*given, np.concatenate(residuals, axis=1), last)
        if not np.isfinite(logits).all():
            raise NotFiniteError("the decoder computed what is no number")
        self._mark = Mark(length, after.steps, after.next_text + len(tokens))
        return logits.reshape(-1)

    @property
    def _written(self) -> int:
        """Tokens in the buffers: all but those of a step that waits."""
        waiting = 0 if self._waiting is None else self._waiting.visual.shape[0]
        return self._mark.length - waiting

    def _write_waiting(self) -> None:
        """Prefill the step that waits, if any, without text."""
        if (waiting := self._waiting) is not None:
            self._run(waiting.visual, waiting.positions, waiting.residuals, NO_ROWS)
            self._waiting = None

    def _step(self, visual: Tensor) -> tuple[NDArray[np.float32], Mark]:
        """The positions of the next step, and the state after it."""
        height, width = self._grid
        if visual.shape[0] != height * width:
            raise ValueError(f"a step of {visual.shape[0]} tokens in a context of {self._grid}")
        rule, steps = self._manifest.positions, self._mark.steps
        positions = step_positions(rule, self._start, steps, height, width)
        after = text_after_video(rule, self._start, steps + 1, height, width)
        return positions, Mark(self._mark.length + height * width, steps + 1, after)

    def _total(self, tokens: int) -> int:
        """How many tokens the buffers hold after so many more; else QuestionError."""
        past = self._written
        if past + tokens > self._capacity:
            raise QuestionError(
                f"{tokens} more tokens do not fit in the context "
                f"({past} of {self._capacity} are taken): ask a shorter question"
            )
        return past + tokens

    def _run(
        self,
        embeddings: Tensor,
        positions: NDArray[np.float32],
        residuals: Tensor | None,
        rows: NDArray[np.int64],
    ) -> tuple[NDArray[np.float32], int]:
        """Append tokens to the buffers; returns (logits of `rows`, the new length)."""
        past, tokens = self._written, embeddings.shape[0]
        total, most = self._total(tokens), self._most_rows
        if most is None or tokens <= most:
            addition = self._addition(past, embeddings, positions, residuals)
            return run(self._decoder, addition, self._idle, rows), total
        embeddings = on_host(embeddings)
        residuals = None if residuals is None else on_host(residuals)
        logits = np.zeros((0, self._manifest.geometry.decoder.vocabulary), np.float32)
        for first in range(0, tokens, most):
            piece = slice(first, min(first + most, tokens))
            wanted = rows[(rows >= piece.start) & (rows < piece.stop)] - first
            added = None if residuals is None else np.ascontiguousarray(residuals[:, piece])
            given = embeddings[piece], positions[:, piece], added
            found = run(self._decoder, self._addition(past + first, *given), self._idle, wanted)
            logits = np.concatenate([logits, found])
        return logits, total

    def _addition(
        self,
        past: int,
        embeddings: Tensor,
        positions: NDArray[np.float32],
        residuals: Tensor | None,
    ) -> Addition:
        """What a run is given to put tokens behind the `past` first ones."""
        tokens = embeddings.shape[0]
        total = past + tokens
        shape = self._manifest.geometry.decoder
        self._cos[past:total], self._sin[past:total] = rotary_rows(shape, positions)
        inputs = {
            names.EMBEDDINGS: embeddings.reshape(1, *embeddings.shape),
            names.ROTARY_COS: self._cos,
            names.ROTARY_SIN: self._sin,
            names.RESIDUALS: self._zero_residual if residuals is None else residuals,
            names.LAST_POSITION: np.array([total - 1], np.int32),
            names.TOTAL_LENGTH: np.array(total, np.int32),
            **self._buffers.past,
        }
        return Addition(inputs, self._buffers.present, tokens)


def _followed(
    waiting: _Waiting, text: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Embeddings and residuals of a step with those of the text behind it, which has none.

    On the host: they are far less than the weights that a run of their own would read.
    """
    embeddings = np.concatenate([on_host(waiting.visual), text])
    if waiting.residuals is None:
        return embeddings, None
    residuals = on_host(waiting.residuals)
    return embeddings, np.pad(residuals, ((0, 0), (0, len(text)), (0, 0)))
