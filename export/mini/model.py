"""Mini in PyTorch for training: many clips at once, several questions in one sequence.

The modules are those of the released model (transformers' Qwen2.5-VL, the V-JEPA encoder, the
resampler); what is written here is only how batches pass through them. The questions of a clip
stand one after another behind its steps, at the same positions, and don't see each other: each
gets what it would get alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import Qwen2_5_VLForConditionalGeneration

from export.checkpoints.pictures import CLIP_MEAN, CLIP_STD
from export.mini.lessons import JUDGED, Syllabus, attended
from export.mini.packing import Packing, packed_mask
from export.mini.sizes import CELLS, GRID, TOKEN_PIXELS, MiniSizes, qwen_config
from export.mini.world.batches import ClipBatch
from export.mini.world.prompts import IGNORED
from export.modules.resampler import GazeResampler
from export.modules.vjepa import IMAGENET_MEAN, IMAGENET_STD, VJepaEncoder
from runtime.bundle.manifest import VisionShape
from runtime.inputs.gaze_encoding import BASE
from runtime.inputs.vision_layout import vision_layout

OTHER_GAIN = 16.0  # of the gaze weights in the later blocks, over their usual start
OPENING_GAIN = 40.0  # of a latent's opening per squared distance, in fractions of the frame
OPENING_REACH = 0.14  # distance of gaze at which a latent is half open
OPENING_RIDGE = 1e-3  # keeps the fitted weights small


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """`logits` (targets, vocabulary) at every token that has a target, in their order.

    `options` (marks, width): what the decoder's last layer but one makes of each option.
    `attention`: of each lesson, see `attended`. `names` (names, width): what layer JUDGED makes of
    each name.
    """

    logits: Tensor
    options: Tensor
    attention: tuple[Tensor, ...] = ()
    names: Tensor | None = None


class MiniModel(nn.Module):
    """All trained parts, and the forward pass of a batch of clips."""

    def __init__(
        self, sizes: MiniSizes, tokenizer: Tokenizer, before_video: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.sizes = sizes
        self.qwen = Qwen2_5_VLForConditionalGeneration(qwen_config(sizes, tokenizer))
        self.vjepa = VJepaEncoder(sizes.vjepa)
        self.resampler = GazeResampler(sizes.resampler)
        _prepare_for_gaze(self.resampler)
        self.register_buffer("before_video", torch.tensor(before_video), persistent=False)
        self._vision = VisionBatch(sizes)

    @property
    def words(self) -> Tensor:
        """The decoder's token embeddings (vocabulary, width)."""
        return self.qwen.model.language_model.embed_tokens.weight

    def features(self, frames: Tensor) -> Tensor:
        """uint8 pairs (N, 2, h, w, 3) -> V-JEPA features of one step at T = 1: (N, CELLS, d)."""
        size = self.vjepa.geometry
        images = frames.flatten(0, 1).permute(0, 3, 1, 2).float() / 255
        images = F.interpolate(images, (size.pixels, size.pixels), mode="bilinear")
        mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
        images = (images - mean) / torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
        older, newer = images.unflatten(0, (-1, 2)).unbind(1)
        patches = self.vjepa.patch_embed["proj"]
        first = patches(torch.stack([older, newer], dim=2)).flatten(2).transpose(1, 2)
        still = patches(torch.stack([newer, newer], dim=2)).flatten(2).transpose(1, 2)
        tokens = torch.cat([first, *[still] * (size.tubelets - 1)], dim=1)
        tokens = tokens + self.vjepa.video_mod_embed
        for block in self.vjepa.blocks:
            tokens = block(tokens, self.vjepa.cos, self.vjepa.sin)
        features = self.vjepa.norms_block[-1](tokens).unflatten(1, (size.tubelets, -1))
        middle = size.tubelets // 2
        return features[:, middle - 1 : middle + 1].mean(dim=1)

    def visual(self, frames: Tensor) -> Tensor:
        """uint8 pairs (N, 2, FRAME, FRAME, 3) -> visual embeddings (N, CELLS, width)."""
        return self._vision(self.qwen.model.visual, frames)

    def residuals(self, features: Tensor, gaze: Tensor, gazed: Tensor) -> Tensor:
        """Features (N, CELLS, d), gaze (N, 2), gazed (N,) -> (live modules, N, CELLS, width).

        The last module is left out: what it adds reaches no logit.
        """
        encoding = encode_gaze(gaze, self.sizes.d_latent) * gazed.unsqueeze(-1)
        live = range(self.sizes.resampler.modules - 1)
        return torch.stack([self.resampler.residual(module, features, encoding) for module in live])

    def answers(
        self,
        visual: Tensor,
        residuals: Tensor | None,
        batch: ClipBatch,
        syllabus: Syllabus | None = None,
    ) -> Answers:
        """Pass all questions through the decoder.

        visual (B, S * CELLS, width), residuals (live modules, B, S * CELLS, width). `syllabus`: of
        the lessons for which attention and names are given; None gives none.
        """
        clips, questions, length = batch.tokens.shape
        decoder = self.qwen.model.language_model
        start = self.before_video.expand(clips, -1)
        text = torch.cat([start, batch.tokens.flatten(1)], dim=1)
        embedded = decoder.embed_tokens(text)
        head = start.shape[1]
        hidden = torch.cat([embedded[:, :head], visual, embedded[:, head:]], dim=1)
        prefix = head + visual.shape[1]
        positions = self.positions(head, visual.shape[1] // CELLS, questions, length)
        rotary = decoder.rotary_emb(hidden, positions.unsqueeze(1))
        mask = packed_mask(prefix, questions, length)
        pack = Packing(prefix, questions, length)
        modules = {layer: row for row, layer in enumerate(self.sizes.resampler.injected_layers)}
        lessons = syllabus.lessons if syllabus else []
        attention: list[Tensor] = []
        names = None
        *layers, last = decoder.layers
        for number, layer in enumerate(layers):
            here = [lesson for lesson in lessons if lesson.layer == number]
            attention += attended(layer, hidden, here, mask, rotary) if here else []
            hidden = hidden + pack.mixed(layer, hidden, rotary)
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
            if residuals is not None and number in modules:
                gazed = hidden[:, head:prefix] + residuals[modules[number]]
                hidden = torch.cat([hidden[:, :head], gazed, hidden[:, prefix:]], dim=1)
            if syllabus and number == JUDGED:
                names = hidden[syllabus.names.rows]
        options = hidden[:, prefix:][batch.marks.flatten(1) != IGNORED]
        wanted = F.pad(batch.targets.flatten(1) != IGNORED, (prefix, 0))
        hidden = (hidden + pack.mixed(last, hidden, rotary))[wanted]
        hidden = hidden + last.mlp(last.post_attention_layernorm(hidden))
        logits = self.qwen.lm_head(decoder.norm(hidden))
        return Answers(logits, options, tuple(attention), names)

    def positions(self, head: int, steps: int, questions: int, length: int) -> Tensor:
        """M-RoPE positions: the start, the steps, then every question from the same place on."""
        per_step = self.sizes.vision.tokens_per_second
        cell = torch.arange(CELLS).repeat(steps)
        step = torch.arange(steps).repeat_interleave(CELLS)
        visual = head + torch.stack([step * per_step, cell // GRID, cell % GRID])
        first = int(visual.max()) + 1
        text = first + torch.arange(length).repeat(questions)
        return torch.cat([torch.arange(head).expand(3, -1), visual, text.expand(3, -1)], dim=1)


class VisionBatch:
    """The vision tower over many frame pairs of one grid, windows as in transformers' own pass."""

    def __init__(self, sizes: MiniSizes) -> None:
        vision = sizes.vision
        shape = VisionShape(
            patch=vision.patch,
            merge=vision.merge,
            temporal_patch=vision.temporal_patch,
            window=vision.window,
            head_dim=vision.width // vision.heads,
        )
        layout = vision_layout(shape, GRID, GRID)
        self._heads = vision.heads
        self._full = vision.full_attention_blocks
        self._order = torch.from_numpy(layout.order)
        self._back = torch.from_numpy(layout.place)
        self._cos, self._sin = torch.from_numpy(layout.cos), torch.from_numpy(layout.sin)

    def __call__(self, tower: nn.Module, frames: Tensor) -> Tensor:
        """(N, 2, FRAME, FRAME, 3) uint8 -> (N, CELLS, width)."""
        hidden = tower.patch_embed.proj.weight.flatten(1)
        hidden = F.linear(patches_of(frames), hidden)
        for number, block in enumerate(tower.blocks):
            hidden = hidden + self._attend(block.attn, block.norm1(hidden), number in self._full)
            hidden = hidden + block.mlp(block.norm2(hidden))
        merged = tower.merger.ln_q(hidden).unflatten(1, (CELLS, -1)).flatten(2)
        return tower.merger.mlp(merged)

    def _attend(self, attention: nn.Module, hidden: Tensor, full: bool) -> Tensor:
        packed = attention.qkv(hidden).unflatten(-1, (3, self._heads, -1))
        query, key, value = packed.unbind(2)
        cos, sin = self._cos.unsqueeze(1), self._sin.unsqueeze(1)
        query, key = (part * cos + _half_turned(part) * sin for part in (query, key))
        parts = [part.to(value.dtype) for part in (query, key, value)]
        if full:
            mixed = F.scaled_dot_product_attention(*(part.transpose(1, 2) for part in parts))
            mixed = mixed.transpose(1, 2)
        else:
            windows = [part[:, self._order].transpose(2, 3) for part in parts]
            mixed = F.scaled_dot_product_attention(*windows).transpose(2, 3)
            mixed = mixed.flatten(1, 2)[:, self._back]
        return attention.proj(mixed.flatten(2))


def patches_of(frames: Tensor) -> Tensor:
    """Frame pairs (N, 2, h, w, 3) uint8 -> patches (N, patches, values), grouped by token."""
    mean, deviation = torch.tensor(CLIP_MEAN), torch.tensor(CLIP_STD)
    images = (frames.float() / 255 - mean) / deviation
    blocks = (GRID, 2, TOKEN_PIXELS // 2, GRID, 2, TOKEN_PIXELS // 2)
    pieces = images.reshape(frames.shape[0], 2, *blocks, 3)
    # pair, token row, row in token, pixel row, token column, column in token, pixel column, colour
    order = (0, 2, 5, 3, 6, 8, 1, 4, 7)
    return pieces.permute(order).reshape(frames.shape[0], CELLS * 4, -1)


def encode_gaze(gaze: Tensor, width: int) -> Tensor:
    """One fixation's centre (..., 2) -> its sinusoidal encoding (..., width)."""
    half = width // 2
    index = torch.arange(half)
    angles = gaze.unsqueeze(-1) / BASE ** (2 * (index // 2) / half)
    return torch.where(index % 2 == 0, angles.sin(), angles.cos()).flatten(-2)


@torch.no_grad()
def _prepare_for_gaze(resampler: GazeResampler) -> None:
    """Give every latent a cell of the frame to open for, before anything is learned.

    The gaze encoding is added to the keys of all visual tokens alike, so all it can do is to open
    or close the scene to a latent; and it varies little over the frame. From small random weights
    that is found late or never. Here the first block of each module starts with weights under which
    a latent's attention to the scene falls with the squared distance of gaze from its cell.
    """
    width = resampler.geometry.d_latent
    for module, blocks in enumerate(resampler.g_projs):
        for block in blocks:
            block.weight.mul_(OTHER_GAIN)
        queries = resampler.q_projs[module][0](resampler.latents[module]).double()
        opening = _opening(width, queries.shape[0])
        weight = torch.linalg.pinv(queries) @ opening.T * width**0.5
        blocks[0].weight.copy_(weight.float())


def _opening(width: int, latents: int) -> Tensor:
    """What, applied to a gaze encoding, comes near each latent's opening: (width, latents)."""
    side = torch.linspace(0, 1, 21)
    gaze = torch.cartesian_prod(side, side)
    cell = torch.arange(latents) % CELLS
    centres = (torch.stack([cell % GRID, cell // GRID], dim=-1) + 0.5) / GRID
    distance = (gaze.unsqueeze(1) - centres).square().sum(dim=-1).double()
    wanted = OPENING_GAIN * (OPENING_REACH**2 - distance)
    encoding = encode_gaze(gaze, width).double()
    ridge = OPENING_RIDGE * torch.eye(width, dtype=torch.float64)
    return torch.linalg.solve(encoding.T @ encoding + ridge, encoding.T @ wanted)


def _half_turned(values: Tensor) -> Tensor:
    first, second = values.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def parameter_count(model: nn.Module) -> int:
    """Numbers in all parameters."""
    return int(np.sum([parameter.numel() for parameter in model.parameters()]))
