"""The decoder's weights as they are exported: LoRA merged, one tensor at a time."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from export.gaze_checkpoint import GazeCheckpoint
from export.qwen_checkpoint import QwenCheckpoint

ADAPTED = re.compile(r"^layers\.(\d+)\.self_attn\.(q_proj|v_proj)\.weight$")


class DecoderWeights:
    """Reads as QwenCheckpoint does, with `W + alpha / rank * B @ A` in place of adapted weights."""

    def __init__(self, qwen: QwenCheckpoint, gaze: GazeCheckpoint | None) -> None:
        self._qwen = qwen
        self._gaze = gaze

    def tensor(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """Read one decoder tensor by its canonical name, cast to `dtype` or as stored.

        The merge itself is done in float32 whatever the types.
        """
        pair = None
        if self._gaze is not None and self._gaze.lora and (match := ADAPTED.match(name)):
            pair = self._gaze.lora.get((int(match[1]), match[2]))
        if pair is None:
            return self._qwen.tensor(name, dtype)
        stored = self._qwen.tensor(name)
        merged = stored.float() + self._gaze.lora_scale * (pair.up @ pair.down)
        return merged.to(dtype or stored.dtype)
