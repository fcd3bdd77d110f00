"""Several questions of a clip in one sequence: what each attends to, and attention without waste.

They stand one after another behind the clip's steps and do not see each other. Scores of one
question with another are not even computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def packed_mask(prefix: int, questions: int, length: int) -> Tensor:
    """What may be attended to, (1, 1, N, N) bool: the past, but never another question."""
    count = prefix + questions * length
    group = torch.cat([torch.zeros(prefix), 1 + torch.arange(questions).repeat_interleave(length)])
    seen = (group.unsqueeze(0) == group.unsqueeze(1)) | (group == 0).unsqueeze(0)
    return (seen & torch.ones(count, count, dtype=torch.bool).tril()).view(1, 1, count, count)


@dataclass(frozen=True, slots=True)
class Packing:
    """`prefix` tokens that all questions share, then `questions` of `length` tokens each."""

    prefix: int
    questions: int
    length: int

    def mixed(self, layer: nn.Module, hidden: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """What a layer's attention adds to its input (B, N, width), as under `packed_mask`."""
        attention = layer.self_attn
        normal = layer.input_layernorm(hidden)
        query, key, value = (
            project(normal).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
            for project in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        query, key = (turned(each, *rotary) for each in (query, key))
        key, value = (
            each.repeat_interleave(attention.num_key_value_groups, dim=1) for each in (key, value)
        )
        shared = [each[:, :, : self.prefix] for each in (query, key, value)]
        before = F.scaled_dot_product_attention(*shared, is_causal=True)
        asked = F.scaled_dot_product_attention(
            self._own(query),
            *(
                torch.cat([self._for_each(kept), self._own(own)], dim=2)
                for kept, own in ((shared[1], key), (shared[2], value))
            ),
            attn_mask=packed_mask(self.prefix, 1, self.length)[:, :, self.prefix :],
        )
        asked = asked.unflatten(0, (-1, self.questions)).transpose(1, 2).flatten(2, 3)
        both = torch.cat([before, asked], dim=2)
        return attention.o_proj(both.transpose(1, 2).flatten(2))

    def _own(self, values: Tensor) -> Tensor:
        """Of the questions, (B, heads, N, d) -> (B * questions, heads, length, d)."""
        text = values[:, :, self.prefix :].unflatten(2, (self.questions, self.length))
        return text.transpose(1, 2).flatten(0, 1)

    def _for_each(self, shared: Tensor) -> Tensor:
        """What is shared, (B, heads, prefix, d) -> (B * questions, heads, prefix, d)."""
        return shared.repeat_interleave(self.questions, dim=0)


def turned(values: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding: (..., N, d) by rows (..., N, d)."""
    first, second = values.chunk(2, dim=-1)
    return values * cos + torch.cat((-second, first), dim=-1) * sin
