"""The V-JEPA 2.1 video encoder, in PyTorch.

Source: V-JEPA 2.1 (facebookresearch/vjepa2). Its 2.1 models differ from 2.0 in three things that
change every number: rotary frequencies are repeated per interleaved pair, row and column positions
are scaled to the pretraining grid, and a modality embedding is added to the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runtime.bundle.manifest import VJEPA_HEAD_DIM as HEAD_DIM
from runtime.bundle.manifest import VJepaShape
from runtime.inputs.clip_layout import clip_rotary

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class VJepaGeometry:
    """Sizes of an encoder: ViT-B/16 at 384 px is `VJepaGeometry(768, 12)`."""

    width: int
    depth: int
    pixels: int = 384
    frames: int = 16
    patch: int = 16
    tubelet: int = 2

    @property
    def heads(self) -> int:
        return self.width // HEAD_DIM

    @property
    def side(self) -> int:
        """Patches along a side of a frame."""
        return self.pixels // self.patch

    @property
    def tubelets(self) -> int:
        return self.frames // self.tubelet

    @property
    def shape(self) -> VJepaShape:
        """The same as the runtime knows it."""
        return VJepaShape(self.frames, self.tubelets, self.side, self.width)


class VJepaEncoder(nn.Module):
    """Video to features. Parameter names are those of the released `ema_encoder`."""

    def __init__(self, geometry: VJepaGeometry) -> None:
        super().__init__()
        self.geometry = geometry
        kernel = (geometry.tubelet, geometry.patch, geometry.patch)
        self.patch_embed = nn.ModuleDict(
            {"proj": nn.Conv3d(3, geometry.width, kernel_size=kernel, stride=kernel)}
        )
        self.video_mod_embed = nn.Parameter(torch.zeros(1, 1, geometry.width))
        self.blocks = nn.ModuleList(_Block(geometry) for _ in range(geometry.depth))
        # Four norms are released, one per distillation depth; the last is the encoder's output.
        self.norms_block = nn.ModuleList(nn.LayerNorm(geometry.width, eps=1e-6) for _ in range(4))
        cos, sin = (torch.from_numpy(rows).flatten(0, 1) for rows in clip_rotary(geometry.shape))
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, video: Tensor) -> Tensor:
        """(B, 3, frames, pixels, pixels) normalised -> (B, tubelets, side, side, width)."""
        return self.attend(self.embed(video))

    def embed(self, video: Tensor) -> Tensor:
        """Patches of every tubelet on their own: (B, tubelets * side * side, width)."""
        return self.patch_embed["proj"](video).flatten(2).transpose(1, 2) + self.video_mod_embed

    def attend(self, tokens: Tensor) -> Tensor:
        """All tubelets' tokens together -> (B, tubelets, side, side, width)."""
        size = self.geometry
        for block in self.blocks:
            tokens = block(tokens, self.cos, self.sin)
        features = self.norms_block[-1](tokens)
        return features.unflatten(1, (size.tubelets, size.side, size.side))


class _Block(nn.Module):
    def __init__(self, geometry: VJepaGeometry) -> None:
        super().__init__()
        width = geometry.width
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, geometry.heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        )

    def forward(self, tokens: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        return self.feed(tokens + self.attn(self.norm1(tokens), cos, sin))

    def feed(self, tokens: Tensor) -> Tensor:
        """What follows attention, token by token."""
        hidden = F.gelu(self.mlp["fc1"](self.norm2(tokens)))
        return tokens + self.mlp["fc2"](hidden)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        packed = self.qkv(tokens).unflatten(-1, (3, self.heads, HEAD_DIM))
        query, key, value = (part.transpose(1, 2) for part in packed.unbind(2))
        mixed = _mixed(rotate(query, cos, sin), rotate(key, cos, sin), value)
        return self.proj(mixed.transpose(1, 2).flatten(2))


def _mixed(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of heads (B, heads, tokens, HEAD_DIM), spelled out: PyTorch's own is exported with
    reshapes that compute with shapes where the number of tokens varies."""
    scores = (query * HEAD_DIM**-0.5) @ key.transpose(-1, -2)
    return scores.softmax(dim=-1) @ value


def rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate interleaved (even, odd) pairs: heads (B, heads, tokens, HEAD_DIM)."""
    even, odd = heads.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((-odd, even), dim=-1).flatten(-2)
    return heads * cos + turned * sin


class _LastBlock(nn.Module):
    """An encoder's last block for some tubelets: they attend to all, as ever.

    What the others would ask there, and become, nobody reads.
    """

    def __init__(self, encoder: VJepaEncoder) -> None:
        super().__init__()
        block, width = encoder.blocks[-1], encoder.geometry.width
        self.patches = encoder.geometry.side**2
        self.block = block
        self.ask, self.give = nn.Linear(width, width), nn.Linear(width, 2 * width)
        packed = block.attn.qkv
        for linear, rows in ((self.ask, slice(width)), (self.give, slice(width, None))):
            linear.weight = nn.Parameter(packed.weight[rows].detach().clone())
            linear.bias = nn.Parameter(packed.bias[rows].detach().clone())

    def forward(self, tokens: Tensor, wanted: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(B, tokens, width) -> (B, tokens of the `wanted` tubelets, width)."""
        block, heads = self.block, (self.block.attn.heads, HEAD_DIM)
        normal = block.norm1(tokens)
        query = self.ask(self._of(normal, wanted)).unflatten(-1, heads).transpose(1, 2)
        packed = self.give(normal).unflatten(-1, (2, *heads))
        key, value = (part.transpose(1, 2) for part in packed.unbind(2))
        query = rotate(query, self._of(cos, wanted), self._of(sin, wanted))
        mixed = _mixed(query, rotate(key, cos, sin), value)
        attended = block.attn.proj(mixed.transpose(1, 2).flatten(2))
        return block.feed(self._of(tokens, wanted) + attended)

    def _of(self, tokens: Tensor, wanted: Tensor) -> Tensor:
        """Of tokens (..., tokens, width) those of the `wanted` tubelets."""
        *others, _, width = tokens.shape
        of_tubelets = tokens.reshape(*others, -1, self.patches, width)
        return of_tubelets.index_select(-3, wanted).reshape(*others, -1, width)


class VJepaGraph(nn.Module):
    """What is compiled: uint8 frames of any size in, the features of some tubelets out."""

    def __init__(self, encoder: VJepaEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.last = _LastBlock(encoder)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(
        self,
        frames: Tensor,
        order: Tensor,
        rows: Tensor,
        row_shares: Tensor,
        columns: Tensor,
        column_shares: Tensor,
        cos: Tensor,
        sin: Tensor,
        wanted: Tensor,
    ) -> Tensor:
        """frames (n, h, w, 3) uint8 -> features (wanted, side, side, width) float32.

        `order` (tubelets, 2): which frame stands at each place of a clip of so many tubelets, of
        the encoder's or fewer; `rows` and `columns` (2 pixels,): between which pixels of a frame
        those of the encoder lie, and the shares (pixels,) of the second; `cos` and `sin`
        (tubelets, side * side, HEAD_DIM): rotary rows; `wanted` (wanted,): tubelets
        (`runtime.inputs.clip_layout`). The aspect ratio is not kept: that is how the released
        features were made.
        """
        encoder = self.encoder
        images = frames.float().permute(0, 3, 1, 2) / 255.0
        images = _resample(_resample(images, 2, rows, row_shares), 3, columns, column_shares)
        images = (images - self.mean) / self.std
        pairs = images.index_select(0, order.flatten()).unflatten(0, (-1, encoder.geometry.tubelet))
        tokens = encoder.embed(pairs.transpose(1, 2)).flatten(0, 1).unsqueeze(0)
        cos, sin = cos.flatten(0, 1), sin.flatten(0, 1)
        for block in encoder.blocks[:-1]:
            tokens = block(tokens, cos, sin)
        features = encoder.norms_block[-1](self.last(tokens, wanted, cos, sin))[0]
        return features.unflatten(0, (-1, encoder.geometry.side, encoder.geometry.side))


def _resample(images: Tensor, axis: int, places: Tensor, shares: Tensor) -> Tensor:
    """Bilinear interpolation along one axis: places (2 n,), all first ones before all second ones,
    and the shares (n,) of the second."""
    below, above = images.index_select(axis, places).chunk(2, axis)
    shape = [1] * axis + [-1] + [1] * (images.dim() - axis - 1)
    return below + (above - below) * shares.view(shape)
