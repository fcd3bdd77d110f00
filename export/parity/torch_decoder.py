"""The decoder in PyTorch, one layer in memory at a time: of a model of any size.

The layers are transformers' own, over the weights as an engine holds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VLDecoderLayer,
    Qwen2_5_VLRotaryEmbedding,
)

from export.graphs.weights import RoundedWeights


class TorchDecoder:
    """`weights`: as the emitted graph holds them. `config`: the decoder's, by transformers."""

    def __init__(self, weights: RoundedWeights, config: PreTrainedConfig) -> None:
        self._weights = weights
        self._config = deepcopy(config)
        self._config._attn_implementation = "eager"

    @torch.no_grad()
    def layer(self, number: int, hidden: Tensor, places: Tensor) -> Tensor:
        """One layer over hidden states (1, tokens, D) at the positions `places` (3, tokens)."""
        module = Qwen2_5_VLDecoderLayer(self._config, number).eval()
        for name, parameter in module.named_parameters():
            parameter.copy_(self._weights.tensor(f"layers.{number}.{name}"))
        tokens = hidden.shape[1]
        rotary = Qwen2_5_VLRotaryEmbedding(self._config)(hidden, places.unsqueeze(1))
        mask = torch.full((tokens, tokens), torch.finfo(torch.float32).min).triu(1)[None, None]
        output = module(hidden, attention_mask=mask, position_embeddings=rotary)
        return output[0] if isinstance(output, tuple) else output

    @torch.no_grad()
    def head(self, hidden: Tensor) -> Tensor:
        """Logits (rows, vocabulary) of what the last layer left: (rows, D)."""
        scale = torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self._config.rms_norm_eps)
        normed = hidden * scale * self._weights.tensor("norm.weight")
        return torch.cat([normed @ rows.T for rows in self._weights.rows("lm_head.weight")], dim=1)

    @torch.no_grad()
    def logits(
        self,
        embeddings: Tensor,
        places: Tensor,
        residuals: Mapping[int, Tensor],
        rows: Sequence[int],
    ) -> Tensor:
        """One prefill of embeddings (tokens, D) -> logits of some `rows`: (rows, vocabulary).

        `residuals`: by layer, what is added to what it leaves (tokens, D).
        """
        hidden = embeddings.unsqueeze(0)
        for number in range(self._config.num_hidden_layers):
            hidden = self.layer(number, hidden, places)
            if number in residuals:
                hidden = hidden + residuals[number]
        return self.head(hidden[0, list(rows)])
