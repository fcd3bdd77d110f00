"""The second stage's LoRA, as a parametrisation of the weights it adapts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from export.mini.sizes import LORA_ALPHA, LORA_RANK

PROJECTIONS = ("q_proj", "v_proj")


class LowRank(nn.Module):
    """W + (alpha / rank) * B A, with B zero at first."""

    def __init__(self, out: int, width: int, random: torch.Generator) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(LORA_RANK, width, generator=random) / width**0.5)
        self.up = nn.Parameter(torch.zeros(out, LORA_RANK))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (LORA_ALPHA / LORA_RANK) * self.up @ self.down


def add_lora(decoder: nn.Module, seed: int) -> None:
    """Adapt every layer's q_proj and v_proj; the weights themselves stay as they are."""
    random = torch.Generator().manual_seed(seed)
    for layer in decoder.layers:
        for name in PROJECTIONS:
            linear = getattr(layer.self_attn, name)
            out, width = linear.weight.shape
            parametrize.register_parametrization(linear, "weight", LowRank(out, width, random))
