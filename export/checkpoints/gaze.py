"""The trained gaze resampler and, where there is one, the LoRA of its second training stage.

Source: the released GazeQwen checkpoint format (v1.0.0), new and old names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from export.checkpoints.common import (
    CheckpointError,
    load_strictly,
    read_tensor_file,
    refuse_not_finite,
    tensors_of,
)
from export.checkpoints.injection import InjectionError, find_layers, traces
from export.checkpoints.qwen import QwenCheckpoint
from export.checkpoints.qwen_config import DecoderGeometry
from export.modules.resampler import GazeResampler, ResamplerGeometry
from export.modules.vjepa import VJepaEncoder
from runtime.bundle.manifest import Injection

Projection = Literal["q_proj", "v_proj"]

GEOMETRY_KEYS = ("d_vjepa", "d_llm", "n_layers", "n_latents", "d_latent", "n_blocks")
# Names of the time when there was one module: what stands where module 0 stands today.
FLAT_NAMES = (
    (re.compile(r"^latents$"), "latents.0"),
    (re.compile(r"^proj_in\."), "proj_ins.0."),
    (re.compile(r"^proj_out\."), "proj_outs.0."),
    (re.compile(r"^([qkgv]_projs|ff_blocks|block_norms)\."), r"\1.0."),
)
OTHER_ARCHITECTURE = ("proj_gaze.", "proj_gazes.")
# The prefix before `layers` depends on the version of transformers at training time.
LORA_NAME = re.compile(
    r"^(?:model\.(?:language_model\.)?)?layers\.(\d+)\.self_attn\.(q_proj|v_proj)\.lora_([AB])$"
)
# Of a LoRA's config: what is honoured, and what describes its training and changes no product.
HONOURED = frozenset({"rank", "alpha", "use_rslora"})
DESCRIPTIVE = frozenset(
    {"dropout", "lora_dropout", "target_modules", "task_type", "peft_type", "inference_mode"}
)


@dataclass(frozen=True, slots=True)
class LoraPair:
    """One adapted projection: `down` (rank, in) is A, `up` (out, rank) is B; float32."""

    down: Tensor
    up: Tensor


@dataclass(frozen=True, slots=True)
class GazeCheckpoint:
    """A resampler in eval mode and the pairs of its LoRA; None, all three, where there is none.

    `injection`: the layers of the resampler's modules and how they are known; `dead`: the modules
    that were never trained, so that their residual is zero. `rank_stabilised`: the LoRA's scale is
    divided by the root of the rank, not by the rank.
    """

    resampler: GazeResampler
    injection: Injection
    dead: frozenset[int] = frozenset()
    lora: Mapping[tuple[int, Projection], LoraPair] | None = None
    rank: int | None = None
    alpha: float | None = None
    rank_stabilised: bool = False

    @property
    def lora_scale(self) -> float:
        """What `up @ down` is multiplied by when it is added to the weight."""
        if self.rank is None or self.alpha is None:
            raise ValueError("this checkpoint has no LoRA")
        return self.alpha / (math.sqrt(self.rank) if self.rank_stabilised else self.rank)


@dataclass(frozen=True, slots=True)
class _LoraSettings:
    rank: int
    alpha: float
    rank_stabilised: bool


def load_gaze(path: Path, layers: tuple[int, ...] | None = None) -> GazeCheckpoint:
    """Read a GazeQwen checkpoint, the best or one of an epoch; tensors become float32.

    `layers`: those of its modules, where they are known from elsewhere; else they are found, see
    `export.checkpoints.injection`. Raises CheckpointError for a file that is none, is of another
    architecture, holds one module of the four, was trained at other layers, has values that are not
    finite, or has LoRA tensors that match no projection, lack their half or differ in rank.
    """
    content = read_tensor_file(path)
    state = tensors_of(content, "state_dict", path)
    resampler, injection, dead = _resampler(path, content.get("config"), state, layers)
    if not content.get("lora_state_dict"):
        return GazeCheckpoint(resampler, injection, dead)
    settings = _lora_settings(path, content.get("lora_config"))
    pairs = _pairs(path, tensors_of(content, "lora_state_dict", path), settings.rank)
    return GazeCheckpoint(
        resampler,
        injection,
        dead,
        pairs,
        settings.rank,
        settings.alpha,
        settings.rank_stabilised,
    )


def check_fit(gaze: GazeCheckpoint, qwen: QwenCheckpoint, vjepa: VJepaEncoder) -> None:
    """See that three checkpoints belong together; CheckpointError says which size does not fit."""
    size, decoder = gaze.resampler.geometry, qwen.decoder
    for held, wanted, noun in (
        (size.d_vjepa, vjepa.geometry.width, "V-JEPA features of width"),
        (size.n_layers, decoder.layers, "a decoder of so many layers:"),
        (size.d_llm, decoder.width, "a decoder of width"),
    ):
        if held != wanted:
            raise CheckpointError(
                f"the GazeQwen checkpoint was trained for {noun} {held}, this one has {wanted}"
            )
    for (layer, projection), pair in (gaze.lora or {}).items():
        _check_pair(layer, projection, pair, decoder)


def _check_pair(
    layer: int, projection: Projection, pair: LoraPair, decoder: DecoderGeometry
) -> None:
    if layer >= decoder.layers:
        raise CheckpointError(
            f"the GazeQwen checkpoint has LoRA for layer {layer}, which matches no layer: "
            f"the decoder has {decoder.layers}"
        )
    out, width = decoder.shapes()[f"layers.{layer}.self_attn.{projection}.weight"]
    found = (pair.up.shape[0], pair.down.shape[1])
    if found != (out, width):
        raise CheckpointError(
            f"the GazeQwen checkpoint's LoRA of layer {layer}, {projection}, is for a weight of "
            f"shape {found}, the decoder's is {(out, width)}"
        )


def _resampler(
    path: Path, config: object, state: dict[str, Tensor], layers: tuple[int, ...] | None
) -> tuple[GazeResampler, Injection, frozenset[int]]:
    if foreign := [name for name in state if name.startswith(OTHER_ARCHITECTURE)]:
        raise CheckpointError(f"{path}: another architecture, it projects gaze: {foreign[0]}")
    geometry = _geometry(path, config)
    flat = "latents" in state or "proj_in.weight" in state
    state = {_module_name(name) if flat else name: tensor for name, tensor in state.items()}
    kind = (
        f"an old checkpoint with one module where {geometry.modules} are needed: it"
        if flat
        else "as a GazeQwen resampler it"
    )
    state = {name: tensor.float() for name, tensor in state.items()}
    load_strictly(GazeResampler(geometry), state, f"{path}: {kind}")
    for name, tensor in state.items():
        refuse_not_finite(name, tensor, str(path))
    modules = range(geometry.modules)
    projections = [state[f"proj_outs.{module}.weight"] for module in modules]
    found = traces(state["amplitude"], projections)
    try:
        injection = find_layers(found, layers)
    except InjectionError as error:
        raise CheckpointError(f"{path}: {error}") from error
    resampler = GazeResampler(replace(geometry, layers=injection.layers))
    resampler.load_state_dict(state)
    dead = frozenset(modules) - frozenset(found.trained)
    return resampler.eval().requires_grad_(False), injection, dead


def _module_name(flat: str) -> str:
    for pattern, replacement in FLAT_NAMES:
        if pattern.match(flat):
            return pattern.sub(replacement, flat)
    return flat


def _geometry(path: Path, config: object) -> ResamplerGeometry:
    if not isinstance(config, Mapping):
        raise CheckpointError(f"{path}: not a GazeQwen checkpoint: it has no 'config'")
    sizes = {key: config.get(key) for key in GEOMETRY_KEYS}
    for key, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise CheckpointError(f"{path}: its config gives {key} as {value!r}")
    geometry = ResamplerGeometry(**sizes)
    if geometry.d_latent % 4:
        raise CheckpointError(f"{path}: d_latent {geometry.d_latent} is not a multiple of 4")
    if geometry.n_layers < geometry.modules:
        raise CheckpointError(f"{path}: {geometry.n_layers} layers are fewer than its modules")
    return geometry


def _lora_settings(path: Path, config: object) -> _LoraSettings:
    if not isinstance(config, Mapping):
        config = {}
    rank, alpha = config.get("rank"), config.get("alpha")
    if not (
        _is_number(rank)
        and isinstance(rank, int)
        and rank > 0
        and _is_number(alpha)
        and math.isfinite(alpha)
    ):
        raise CheckpointError(
            f"{path}: it has LoRA tensors but no 'lora_config' with rank and alpha"
        )
    for name, value in config.items():
        unset = not isinstance(value, Tensor) and (not value or value == "none")
        if name not in HONOURED | DESCRIPTIVE and not unset:
            raise CheckpointError(
                f"{path}: its lora_config has {name} {value!r}, which this export knows nothing "
                "of: merge this LoRA into the Qwen2.5-VL folder first"
            )
    return _LoraSettings(rank, float(alpha), bool(config.get("use_rslora")))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _pairs(
    path: Path, state: Mapping[str, Tensor], rank: int
) -> dict[tuple[int, Projection], LoraPair]:
    halves: dict[tuple[int, Projection], dict[str, Tensor]] = {}
    for name, tensor in state.items():
        match = LORA_NAME.match(name)
        if match is None:
            raise CheckpointError(f"{path}: the LoRA tensor {name} matches no decoder projection")
        layer, projection, half = match.groups()
        place = halves.setdefault((int(layer), projection), {})
        if half in place:
            raise CheckpointError(f"{path}: the LoRA tensor {name} is there twice")
        if tensor.ndim != 2 or tensor.shape[0 if half == "A" else 1] != rank:
            raise CheckpointError(
                f"{path}: the LoRA tensor {name} has shape {tuple(tensor.shape)}, not rank {rank}"
            )
        place[half] = tensor.to(torch.float32, copy=True)
        refuse_not_finite(name, place[half], str(path))
    for (layer, projection), place in halves.items():
        for half in "AB":
            if half not in place:
                raise CheckpointError(
                    f"{path}: layers.{layer}.self_attn.{projection} lacks its lora_{half}"
                )
    return {key: LoraPair(down=place["A"], up=place["B"]) for key, place in halves.items()}
