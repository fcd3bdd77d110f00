"""GazeQwen in PyTorch, as released: transformers' model, and hooks that add the residuals.

The independent computation that every exported graph is compared with. Nothing here uses the
exported graphs, the split resampler, the merged weights or the runtime's position rule.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.utils import logging

from export.checkpoints.gaze import GazeCheckpoint
from export.checkpoints.qwen import VISION, QwenCheckpoint
from export.graphs.vision import CLIP_MEAN, CLIP_STD
from export.modules.resampler import GazeResampler
from export.modules.vjepa import IMAGENET_MEAN, IMAGENET_STD, VJepaEncoder


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceStep:
    """One temporal step: visual embeddings (H*W, D), residuals (modules, H*W, D) or None."""

    visual: Tensor
    residuals: Tensor | None
    grid: tuple[int, int]


class ReferenceModel:
    """The whole model in float32 on the CPU."""

    def __init__(
        self,
        qwen: Qwen2_5_VLForConditionalGeneration,
        vjepa: VJepaEncoder,
        resampler: GazeResampler,
    ) -> None:
        """`qwen`: with the second stage's LoRA merged."""
        self.qwen = qwen.eval().requires_grad_(False)
        self.vjepa = vjepa
        self.resampler = resampler

    @classmethod
    def load(cls, qwen_folder: Path, vjepa: VJepaEncoder, gaze: GazeCheckpoint) -> ReferenceModel:
        """The model of a Qwen2.5-VL folder as transformers reads it, LoRA merged by peft."""
        with quiet():
            qwen = Qwen2_5_VLForConditionalGeneration.from_pretrained(
                qwen_folder, dtype=torch.float32
            )
            merged = _merge_lora(qwen, gaze)
        return cls(merged, vjepa, gaze.resampler)

    @classmethod
    def without_decoder(
        cls, checkpoint: QwenCheckpoint, vjepa: VJepaEncoder, gaze: GazeCheckpoint
    ) -> ReferenceModel:
        """All but the decoder, whose weights stay unread: `logits` is not to be called."""
        with quiet(), torch.device("meta"):
            config = Qwen2_5_VLConfig.from_pretrained(checkpoint.folder)
            qwen = Qwen2_5_VLForConditionalGeneration(config)
        tower = qwen.model.visual
        tower.rotary_pos_emb = type(tower.rotary_pos_emb)(config.vision_config)  # no weights
        # One piece of memory: freed in many, it would stay with the process.
        memory = torch.empty(sum(weight.numel() for weight in tower.parameters()))
        state, start = {}, 0
        for name, weight in tower.named_parameters():
            place = memory[start : start + weight.numel()].view(weight.shape)
            state[name] = place.copy_(checkpoint.tensor(VISION + name))
            start += weight.numel()
        tower.load_state_dict(state, assign=True)
        return cls(qwen, vjepa, gaze.resampler)

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
        side = self.vjepa.geometry.pixels
        images = (frames.permute(0, 3, 1, 2).float() / 255).clamp(0, 1)
        images = F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)
        images = _normalised(images, IMAGENET_MEAN, IMAGENET_STD)
        return self.vjepa(images.transpose(0, 1).unsqueeze(0))[0]

    @torch.no_grad()
    def visual(self, pair: Tensor) -> Tensor:
        """The vision tower over uint8 (2, 28H, 28W, 3) -> visual embeddings (H*W, D)."""
        config = self.qwen.config.vision_config
        patch, merge = config.patch_size, config.spatial_merge_size
        images = _normalised(pair.permute(0, 3, 1, 2).float() / 255, CLIP_MEAN, CLIP_STD)
        rows, columns = images.shape[2] // patch, images.shape[3] // patch
        blocks = (rows // merge, merge, patch, columns // merge, merge, patch)
        patches = images.reshape(2, 3, *blocks).permute(2, 5, 3, 6, 1, 0, 4, 7)
        grid = torch.tensor([[1, rows, columns]])
        output = self.qwen.model.visual(patches.reshape(rows * columns, -1), grid_thw=grid)
        return output.pooler_output

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
        with self._injection(len(before), steps):
            hidden = self.qwen.model.language_model(
                inputs_embeds=embeddings,
                position_ids=positions.unsqueeze(1),
                attention_mask=torch.ones(1, embeddings.shape[1], dtype=torch.long),
                use_cache=False,
            ).last_hidden_state
        return self.qwen.lm_head(hidden[0, -1])

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
    def _injection(self, first: int, steps: Sequence[ReferenceStep]) -> Iterator[None]:
        """Hooks that add each step's residuals to the outputs of the injected layers."""
        layers = self.qwen.model.language_model.layers
        handles = []
        if any(step.residuals is not None for step in steps):
            for module, layer in enumerate(self.resampler.geometry.injected_layers):
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


def _merge_lora(
    model: Qwen2_5_VLForConditionalGeneration, gaze: GazeCheckpoint
) -> Qwen2_5_VLForConditionalGeneration:
    """The second stage, merged by peft."""
    if not gaze.lora:
        return model
    config = LoraConfig(
        r=gaze.rank,
        lora_alpha=gaze.alpha,
        use_rslora=gaze.rank_stabilised,
        target_modules=["q_proj", "v_proj"],
        lora_dropout=0.0,
    )
    adapted = get_peft_model(model, config)
    for layer, block in enumerate(adapted.model.model.language_model.layers):
        for projection in ("q_proj", "v_proj"):
            linear = getattr(block.self_attn, projection)
            pair = gaze.lora.get((layer, projection))
            if pair is not None:
                linear.lora_A["default"].weight.data.copy_(pair.down)
                linear.lora_B["default"].weight.data.copy_(pair.up)
    return adapted.merge_and_unload()


@contextmanager
def quiet() -> Iterator[None]:
    """transformers reports its loading; that is no news here."""
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def _normalised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    return (images - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
