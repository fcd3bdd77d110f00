"""GazeQwen in PyTorch, as released: transformers' model, and hooks that add the residuals.

The independent computation that every exported graph is compared with. Nothing here uses our
reading of the checkpoints, the exported graphs, our modules or the runtime's position rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Qwen2_5_VLForConditionalGeneration

from export.parity.reading.pictures import Pictures
from export.parity.reading.released_encoder import ReleasedEncoder
from export.parity.reading.released_gaze import ReleasedGaze
from export.parity.reading.transformers_reading import quiet

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Encoder(Protocol):
    """V-JEPA: `geometry.pixels` along a side of its frames."""

    geometry: Any

    def __call__(self, video: Tensor) -> Tensor:
        """(1, 3, 16, pixels, pixels) -> (1, tubelets, side, side, d_vjepa)."""
        ...


class Resampler(Protocol):
    """The resampler: `geometry.injected_layers`, one per module."""

    geometry: Any

    def __call__(self, features: Tensor, encoding: Tensor) -> Tensor:
        """(N, d_vjepa), (d_latent,) -> residuals (modules, N, D)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceStep:
    """One temporal step: visual embeddings (H*W, D), residuals (modules, H*W, D) or None."""

    visual: Tensor
    residuals: Tensor | None
    grid: tuple[int, int]


class ReferenceModel:
    """The whole model on the CPU, in float32 unless it is loaded otherwise."""

    def __init__(
        self,
        qwen: Qwen2_5_VLForConditionalGeneration,
        vjepa: Encoder | None,
        resampler: Resampler,
        pictures: Pictures,
    ) -> None:
        """`qwen`: with the second stage's LoRA merged. `vjepa`: None once it is not needed."""
        self.qwen = qwen.eval().requires_grad_(False)
        self.vjepa = vjepa
        self.resampler = resampler
        self.pictures = pictures

    @classmethod
    def load(
        cls,
        qwen: Path,
        vjepa: Path,
        pixels: int,
        gaze: Path,
        injected_layers: tuple[int, ...],
        dtype: torch.dtype = torch.float32,
    ) -> ReferenceModel:
        """The whole model as transformers reads it, LoRA merged by peft.

        `pixels`: of the encoder's frames. `injected_layers`: of all modules, the last one too.
        `dtype`: of the vision tower and the decoder, and of V-JEPA's products; residuals are
        float32.
        """
        released = ReleasedGaze(gaze, injected_layers)
        with quiet():
            model = Qwen2_5_VLForConditionalGeneration.from_pretrained(qwen, dtype=dtype)
        model = released.merge_into(model, model.model.language_model.layers)
        return cls(model, ReleasedEncoder(vjepa, pixels), released, Pictures(qwen))

    @torch.no_grad()
    def replace_decoder(self, tensor: Callable[[str], Tensor]) -> None:
        """Put other float32 weights of the same shapes into the decoder, by canonical name."""
        decoder, head = self.qwen.model.language_model, self.qwen.lm_head
        head.weight = nn.Parameter(tensor("lm_head.weight"), requires_grad=False)
        for name in decoder.state_dict():
            decoder.get_parameter(name).copy_(tensor(name))

    @torch.no_grad()
    def features(self, frames: Tensor) -> Tensor:
        """V-JEPA over uint8 (16, h, w, 3) -> (tubelets, side, side, d_vjepa)."""
        assert self.vjepa is not None
        side = self.vjepa.geometry.pixels
        images = (frames.permute(0, 3, 1, 2).float() / 255).clamp(0, 1)
        images = F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)
        images = _normalised(images, IMAGENET_MEAN, IMAGENET_STD)
        dtype = self.qwen.dtype
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            return self.vjepa(images.transpose(0, 1).unsqueeze(0))[0].float()

    @torch.no_grad()
    def visual(self, pair: Tensor) -> Tensor:
        """The vision tower over uint8 (2, 28H, 28W, 3) -> visual embeddings (H*W, D)."""
        patch = self.qwen.config.vision_config.patch_size
        grid = torch.tensor([[1, pair.shape[1] // patch, pair.shape[2] // patch]])
        patches = self.pictures.patches(pair.numpy())
        return self.qwen.model.visual(patches, grid_thw=grid).pooler_output

    @torch.no_grad()
    def residuals(
        self, features: Tensor, step: int, steps: int, grid: tuple[int, int], encoding: Tensor
    ) -> Tensor:
        """The residuals of one step of a clip of `steps`: (modules, H*W, D)."""
        tubelets, side = features.shape[0], features.shape[1]
        volume = features.permute(3, 0, 1, 2).unsqueeze(0)
        if steps != tubelets:
            size = (steps, side, side)
            volume = F.interpolate(volume, size=size, mode="trilinear", align_corners=False)
        plane = volume[:, :, step]
        plane = F.interpolate(plane, size=grid, mode="bilinear", align_corners=False)
        return self.resampler(plane[0].flatten(1).T, encoding)

    @torch.no_grad()
    def logits(
        self, before: Sequence[int], steps: Sequence[ReferenceStep], after: Sequence[int]
    ) -> Tensor:
        """One prefill of a whole prompt; the logits at its last token: (vocabulary,)."""
        embed = self.qwen.get_input_embeddings()
        pieces = [embed(torch.tensor(before)), *(step.visual for step in steps)]
        embeddings = torch.cat([*pieces, embed(torch.tensor(after))]).unsqueeze(0)
        positions = self._positions(len(before), [step.grid for step in steps], len(after))
        decoder, injected = self.qwen.model.language_model, self.resampler.geometry.injected_layers
        with injection(decoder.layers, injected, len(before), steps):
            hidden = decoder(
                inputs_embeds=embeddings,
                position_ids=positions.unsqueeze(1),
                attention_mask=torch.ones(1, embeddings.shape[1], dtype=torch.long),
                use_cache=False,
            ).last_hidden_state
        return self.qwen.lm_head(hidden[0, -1]).float()

    def _positions(self, before: int, grids: Sequence[tuple[int, int]], after: int) -> Tensor:
        per_step = self.qwen.config.vision_config.tokens_per_second  # seconds per grid: 1.0
        rows = [[place] * 3 for place in range(before)]
        for step, (height, width) in enumerate(grids):
            for row in range(height):
                rows += [
                    [before + step * per_step, before + row, before + column]
                    for column in range(width)
                ]
        first = max((max(row) for row in rows), default=-1) + 1
        rows += [[first + place] * 3 for place in range(after)]
        return torch.tensor(rows).T


@contextmanager
def injection(
    layers: nn.ModuleList,
    injected: Sequence[int],
    first: int,
    steps: Sequence[ReferenceStep],
) -> Iterator[None]:
    """Hooks that add each step's residuals to the outputs of the `injected` layers.

    `first`: the first visual token.
    """
    handles = []
    if any(step.residuals is not None for step in steps):
        for module, layer in enumerate(injected):
            hook = _adding(first, steps, module)
            handles.append(layers[layer].register_forward_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _adding(first: int, steps: Sequence[ReferenceStep], module: int):  # noqa: ANN202
    def hook(layer: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> object:
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        start = first
        for step in steps:
            end = start + step.visual.shape[0]
            if step.residuals is not None:
                added = hidden[:, start:end].float() + step.residuals[module]
                hidden[:, start:end] = added.to(hidden.dtype)
            start = end
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    return hook


def _normalised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    return (images - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
