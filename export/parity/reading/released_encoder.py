"""V-JEPA 2.1 on transformers' V-JEPA 2: a second reading of the encoder's file, not our module.

transformers has no V-JEPA 2.1: it turns rotary pairs by another layout of frequencies, does not
bring row and column positions to the pretraining grid and knows no embedding of the modality.
These three are written here, from MODEL.md and not from our module; everything else (convolution,
norms, attention, feed-forward and their order) is transformers' own.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import VJEPA2Config
from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2Encoder, VJEPA2RopeAttention

GRID_OF_PRETRAINING = 16
HEAD_WIDTH = 64
WRAPPERS = ("module", "backbone")
FRAMES = 16


@dataclass(frozen=True, slots=True)
class EncoderSizes:
    """`pixels`: along a side of the frames it takes."""

    pixels: int


class ReleasedEncoder(nn.Module):
    """Video (1, 3, 16, pixels, pixels), normalised -> (1, tubelets, side, side, width)."""

    def __init__(self, file: Path, pixels: int) -> None:
        super().__init__()
        self.geometry = EncoderSizes(pixels)
        self.stored = stored = encoder_tensors(file)
        self._config = _config(stored, pixels)
        self.depth = self._config.num_hidden_layers
        self._encoder = VJEPA2Encoder(self._config)
        for layer in self._encoder.layer:
            layer.attention = _Attention(
                self._config, self._config.hidden_size, self._config.num_attention_heads
            )
        self._encoder.load_state_dict(_renamed(stored, self.depth))
        self.register_buffer("_modality", stored["video_mod_embed"].float())
        self.eval().requires_grad_(False)

    def forward(self, video: Tensor) -> Tensor:
        hidden = self._encoder.embeddings(video.transpose(1, 2)) + self._modality
        for layer in self._encoder.layer:
            output = layer(hidden)
            hidden = output[0] if isinstance(output, tuple) else output
        side = self._config.crop_size // self._config.patch_size
        return self._encoder.layernorm(hidden).unflatten(1, (-1, side, side))


class _Attention(VJEPA2RopeAttention):
    """transformers' attention with the positions and the rotation of 2.1."""

    def get_position_ids(self, x: Tensor, masks: Tensor | None = None) -> tuple[Tensor, ...]:
        frame, row, column = super().get_position_ids(x, masks)
        shrink = (GRID_OF_PRETRAINING - 1) / (self.grid_size - 1)
        return frame.float(), row * shrink, column * shrink

    def apply_rotary_embeddings(self, qk: Tensor, pos_ids: tuple[Tensor, ...]) -> Tensor:
        """Each neighbouring pair of an axis is a complex number, turned by its own angle."""
        axis = 2 * ((self.attention_head_size // 3) // 2)
        parts = list(qk.float().split([axis] * 3 + [self.attention_head_size - 3 * axis], dim=-1))
        rates = 10000.0 ** (-torch.arange(axis // 2) / (axis // 2))
        for number, places in enumerate(pos_ids):
            pairs = torch.view_as_complex(parts[number].unflatten(-1, (-1, 2)).contiguous())
            turns = torch.polar(torch.ones(()), places[:, None] * rates)
            parts[number] = torch.view_as_real(pairs * turns).flatten(-2)
        return torch.cat(parts, dim=-1).to(qk.dtype)


def encoder_tensors(file: Path) -> dict[str, Tensor]:
    """The file's `ema_encoder` under names without wrappers."""
    stored: Mapping[str, Any] = torch.load(
        file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file)
    )
    plain = {}
    for name, tensor in stored["ema_encoder"].items():
        parts = name.split(".")
        while parts[0] in WRAPPERS:
            parts.pop(0)
        plain[".".join(parts)] = tensor
    return plain


def _config(stored: Mapping[str, Tensor], pixels: int) -> VJEPA2Config:
    width, channels, tubelet, patch, _ = stored["patch_embed.proj.weight"].shape
    depth = 1 + max(int(name.split(".")[1]) for name in stored if name.startswith("blocks."))
    return VJEPA2Config(
        patch_size=patch,
        crop_size=pixels,
        frames_per_clip=FRAMES,
        tubelet_size=tubelet,
        hidden_size=width,
        in_chans=channels,
        num_attention_heads=width // HEAD_WIDTH,
        num_hidden_layers=depth,
        mlp_ratio=stored["blocks.0.mlp.fc1.weight"].shape[0] / width,
        layer_norm_eps=1e-6,
        attn_implementation="sdpa",
    )


def _renamed(stored: Mapping[str, Tensor], depth: int) -> dict[str, Tensor]:
    """The released names as transformers has them; query, key and value lie in one there."""
    state: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        patches = stored[f"patch_embed.proj.{kind}"]
        state[f"embeddings.patch_embeddings.proj.{kind}"] = patches
        state[f"layernorm.{kind}"] = stored[f"norms_block.3.{kind}"]
        for block in range(depth):
            theirs, ours = f"layer.{block}", f"blocks.{block}"
            packed = stored[f"{ours}.attn.qkv.{kind}"].chunk(3)
            for part, tensor in zip(("query", "key", "value"), packed, strict=True):
                state[f"{theirs}.attention.{part}.{kind}"] = tensor
            state[f"{theirs}.attention.proj.{kind}"] = stored[f"{ours}.attn.proj.{kind}"]
            for same in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                state[f"{theirs}.{same}.{kind}"] = stored[f"{ours}.{same}.{kind}"]
    return {name: tensor.float() for name, tensor in state.items()}
