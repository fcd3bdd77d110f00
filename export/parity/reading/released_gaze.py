"""The gaze checkpoint read a second time: the resampler by its equations, LoRA merged by peft.

Written from the equations of the paper (MODEL.md), over the file's own names and none of our
modules: what is read wrongly there is not read wrongly here for the same reason.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from export.parity.reading.transformers_reading import quiet

PROJECTIONS = ("q_proj", "v_proj")


@dataclass(frozen=True, slots=True)
class GazeSizes:
    """The decoder layers (0-based) that modules 0, 1, ... inject into."""

    injected_layers: tuple[int, ...]


class ReleasedGaze:
    """A GazeQwen checkpoint as it lies in its file."""

    def __init__(self, file: Path, injected_layers: tuple[int, ...]) -> None:
        """`injected_layers`: no file of the released kind says them."""
        content: Mapping[str, Any] = torch.load(
            file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file)
        )
        self.geometry = GazeSizes(injected_layers)
        self.tensors: Mapping[str, Tensor] = content["state_dict"]
        self._lora_config: Mapping[str, Any] = content.get("lora_config") or {}
        self._halves = {
            _adapted(name): tensor.float()
            for name, tensor in (content.get("lora_state_dict") or {}).items()
        }

    def __call__(self, features: Tensor, encoding: Tensor) -> Tensor:
        """(N, d_vjepa), (d_latent,) -> residuals (modules, N, D)."""
        modules = range(len(self.geometry.injected_layers))
        return torch.stack([self._residual(each, features, encoding) for each in modules])

    @property
    def adapted(self) -> frozenset[tuple[int, str]]:
        """(layer, projection) of every weight that LoRA changes."""
        return frozenset((layer, projection) for layer, projection, _ in self._halves)

    def merged(self, weight: Tensor, layer: int, projection: str) -> Tensor:
        """The adapted weight as peft merges it, float32."""
        holder = nn.Module()
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        linear.weight = nn.Parameter(weight.float().clone(), requires_grad=False)
        setattr(holder, projection, linear)
        with quiet():
            adapted = get_peft_model(holder, self._peft())
            self._fill(getattr(adapted.model, projection), layer, projection)
            return getattr(adapted.merge_and_unload(), projection).weight.detach()

    def merge_into(self, model: nn.Module, layers: nn.ModuleList) -> nn.Module:
        """A whole model with its `layers` adapted, merged by peft."""
        if not self._halves:
            return model
        with quiet():
            adapted = get_peft_model(model, self._peft())
            for number, layer in enumerate(layers):
                for projection in PROJECTIONS:
                    self._fill(getattr(layer.self_attn, projection), number, projection)
            return adapted.merge_and_unload()

    def _peft(self) -> LoraConfig:
        config = self._lora_config
        return LoraConfig(
            r=config["rank"],
            lora_alpha=config["alpha"],
            target_modules=list(PROJECTIONS),
            lora_dropout=0.0,
            use_rslora=bool(config.get("use_rslora")),
            use_dora=bool(config.get("use_dora")),
        )

    def _fill(self, adapted: nn.Module, layer: int, projection: str) -> None:
        """A pair that the file lacks keeps peft's start, which changes nothing."""
        for half in ("lora_A", "lora_B"):
            values = self._halves.get((layer, projection, half))
            if values is not None:
                getattr(adapted, half)["default"].weight.data.copy_(values)

    @torch.no_grad()
    def _residual(self, module: int, features: Tensor, encoding: Tensor) -> Tensor:
        def linear(part: str, values: Tensor) -> Tensor:
            bias = self.tensors.get(f"{part}.bias")
            weight = self.tensors[f"{part}.weight"].float()
            return F.linear(values, weight, None if bias is None else bias.float())

        def norm(part: str, values: Tensor) -> Tensor:
            weight, bias = self.tensors[f"{part}.weight"], self.tensors[f"{part}.bias"]
            return F.layer_norm(values, values.shape[-1:], weight.float(), bias.float())

        seen = linear(f"proj_ins.{module}", features)
        latents = self.tensors[f"latents.{module}"].float()
        gaze = torch.cat([encoding.repeat(len(seen), 1), torch.zeros_like(latents)])
        blocks = sum(name.startswith(f"q_projs.{module}.") for name in self.tensors) // 2
        for block in range(blocks):
            place = f"{module}.{block}"
            known = torch.cat([seen, latents])
            latents = latents + F.scaled_dot_product_attention(
                linear(f"q_projs.{place}", latents)[None],
                (linear(f"k_projs.{place}", known) + linear(f"g_projs.{place}", gaze))[None],
                linear(f"v_projs.{place}", known)[None],
            ).squeeze(0)
            hidden = linear(f"ff_blocks.{place}.1", norm(f"ff_blocks.{place}.0", latents))
            latents = latents + linear(f"ff_blocks.{place}.3", F.gelu(hidden))
            latents = norm(f"block_norms.{place}", latents)
        spread = F.scaled_dot_product_attention(seen[None], latents[None], latents[None])[0]
        amplitude = self.tensors["amplitude"].float()[self.geometry.injected_layers[module]]
        return linear(f"proj_outs.{module}", spread) * amplitude


def _adapted(name: str) -> tuple[int, str, str]:
    """Layer, projection and half of a LoRA tensor, whatever stands around them."""
    parts = name.split(".")
    layer = int(parts[parts.index("layers") + 1])
    half = next(part for part in parts if part in ("lora_A", "lora_B"))
    return layer, parts[parts.index(half) - 1], half
