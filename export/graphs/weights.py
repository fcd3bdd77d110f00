"""The decoder's weights as they are exported: LoRA merged, one tensor at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from export.checkpoints.gaze import GazeCheckpoint
from export.checkpoints.qwen import QwenCheckpoint
from export.graphs.precision.quantization import EMBEDDINGS, MATRICES, ROWS, Linears
from runtime.bundle.token_table import restored_rows, stored_rows

ADAPTED = re.compile(r"^layers\.(\d+)\.self_attn\.(q_proj|v_proj)\.weight$")


class DecoderWeights:
    """Reads as QwenCheckpoint does, with `W + alpha / rank * B @ A` in place of adapted weights."""

    def __init__(self, qwen: QwenCheckpoint, gaze: GazeCheckpoint | None) -> None:
        self._qwen = qwen
        self._gaze = gaze

    def tensor(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """Read one decoder tensor by its canonical name, cast to `dtype` or as stored.

        The merge is done in float32 whatever the types, and what is merged stays so by default.
        """
        pair = None
        if self._gaze is not None and self._gaze.lora and (match := ADAPTED.match(name)):
            pair = self._gaze.lora.get((int(match[1]), match[2]))
        if pair is None:
            return self._qwen.tensor(name, dtype)
        stored = self._qwen.tensor(name)
        merged = stored.float() + self._gaze.lora_scale * (pair.up @ pair.down)
        return merged if dtype is None else merged.to(dtype)


class RoundedWeights:
    """The same weights as an engine has them: every matrix rounded as it is stored, in float32."""

    def __init__(self, weights: DecoderWeights, linears: Linears) -> None:
        self._weights = weights
        self._linears = linears

    @property
    def changes(self) -> bool:
        """Whether they differ from the weights as they were read."""
        return self._linears.precision.kind != "float32"

    def tensor(self, name: str) -> Tensor:
        """One decoder tensor by its canonical name, float32."""
        if name == EMBEDDINGS:
            return self._stored(self._weights.tensor(name))
        if name.endswith(MATRICES):
            return self._linears.rounded(name, self._weights.tensor(name))
        return self._weights.tensor(name, torch.float32)

    def embeddings(self, tokens: Sequence[int]) -> Tensor:
        """Of some tokens: (tokens, D) float32."""
        return self._stored(self._weights.tensor(EMBEDDINGS)[list(tokens)])

    def rows(self, name: str) -> Iterator[Tensor]:
        """A matrix some rows at a time."""
        return self._linears.rounded_rows(name, self._weights.tensor(name))

    def _stored(self, embeddings: Tensor) -> Tensor:
        kind, width = self._linears.precision.table, embeddings.shape[1]
        pieces = (stored_rows(rows.float().numpy(), kind) for rows in embeddings.split(ROWS))
        return torch.cat([torch.from_numpy(restored_rows(piece, width)) for piece in pieces])
