"""The sizes of a Qwen2.5-VL, read from its config.json in any of the spellings in use.

Three are: the flat one of the hub; `text_config` beside `vision_config` (transformers 4.52); and
the latter with rotary parameters gathered in `rope_parameters` (transformers 5). transformers does
not write a value that equals its own default, so a missing value means that default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.checkpoints.common import CheckpointError

MODEL_TYPE = "qwen2_5_vl"
SLIDING_WINDOW, MAX_WINDOW_LAYERS = 4096, 80  # transformers' defaults
ROTARY_TYPES = (None, "default", "mrope")  # mrope is the section rule, on default frequencies


@dataclass(frozen=True, slots=True)
class DecoderGeometry:
    """Sizes of the text decoder. `mrope_section`: rotary pairs of the time, row, column axes."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    rms_epsilon: float
    rope_theta: float
    mrope_section: tuple[int, ...]
    tied: bool

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the decoder: canonical name and shape. Tied embeddings have no head."""
        table = {"embed_tokens.weight": (self.vocabulary, self.width)}
        for layer in range(self.layers):
            table |= self._layer_shapes(f"layers.{layer}")
        table["norm.weight"] = (self.width,)
        if not self.tied:
            table["lm_head.weight"] = (self.vocabulary, self.width)
        return table

    def _layer_shapes(self, prefix: str) -> dict[str, tuple[int, ...]]:
        query, pair = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            f"{prefix}.input_layernorm.weight": (self.width,),
            f"{prefix}.self_attn.q_proj.weight": (query, self.width),
            f"{prefix}.self_attn.q_proj.bias": (query,),
            f"{prefix}.self_attn.k_proj.weight": (pair, self.width),
            f"{prefix}.self_attn.k_proj.bias": (pair,),
            f"{prefix}.self_attn.v_proj.weight": (pair, self.width),
            f"{prefix}.self_attn.v_proj.bias": (pair,),
            f"{prefix}.self_attn.o_proj.weight": (self.width, query),
            f"{prefix}.post_attention_layernorm.weight": (self.width,),
            f"{prefix}.mlp.gate_proj.weight": (self.intermediate, self.width),
            f"{prefix}.mlp.up_proj.weight": (self.intermediate, self.width),
            f"{prefix}.mlp.down_proj.weight": (self.width, self.intermediate),
        }


@dataclass(frozen=True, slots=True)
class VisionGeometry:
    """Sizes of the vision tower. `window` is in pixels; `full_attention_blocks` are indices."""

    depth: int
    width: int
    heads: int
    intermediate: int
    patch: int
    temporal_patch: int
    merge: int
    window: int
    full_attention_blocks: tuple[int, ...]
    out_width: int
    tokens_per_second: int
    channels: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the tower: name in transformers, after `visual.`, and shape."""
        merged = self.width * self.merge**2
        patch = (self.channels, self.temporal_patch, self.patch, self.patch)
        table: dict[str, tuple[int, ...]] = {"patch_embed.proj.weight": (self.width, *patch)}
        for block in range(self.depth):
            table |= self._block_shapes(f"blocks.{block}")
        return table | {
            "merger.ln_q.weight": (self.width,),
            "merger.mlp.0.weight": (merged, merged),
            "merger.mlp.0.bias": (merged,),
            "merger.mlp.2.weight": (self.out_width, merged),
            "merger.mlp.2.bias": (self.out_width,),
        }

    def _block_shapes(self, prefix: str) -> dict[str, tuple[int, ...]]:
        return {
            f"{prefix}.norm1.weight": (self.width,),
            f"{prefix}.attn.qkv.weight": (3 * self.width, self.width),
            f"{prefix}.attn.qkv.bias": (3 * self.width,),
            f"{prefix}.attn.proj.weight": (self.width, self.width),
            f"{prefix}.attn.proj.bias": (self.width,),
            f"{prefix}.norm2.weight": (self.width,),
            f"{prefix}.mlp.gate_proj.weight": (self.intermediate, self.width),
            f"{prefix}.mlp.gate_proj.bias": (self.intermediate,),
            f"{prefix}.mlp.up_proj.weight": (self.intermediate, self.width),
            f"{prefix}.mlp.up_proj.bias": (self.intermediate,),
            f"{prefix}.mlp.down_proj.weight": (self.width, self.intermediate),
            f"{prefix}.mlp.down_proj.bias": (self.width,),
        }


def read_config(folder: Path) -> tuple[DecoderGeometry, VisionGeometry]:
    """Both geometries of a Qwen2.5-VL folder; CheckpointError where its config is not one."""
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{folder}: not a Qwen2.5-VL folder: it has no config.json")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: not valid JSON: {error}") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != MODEL_TYPE:
        raise CheckpointError(f"{path}: not a Qwen2.5-VL folder: its model_type is {kind!r}")
    if config.get("quantization_config") is not None:
        raise CheckpointError(f"{path}: a quantised checkpoint: export from the original weights")
    text = _Section(path, config.get("text_config") or config)
    vision = _Section(path, config.get("vision_config") or {})
    tied = bool(config.get("tie_word_embeddings")) or bool(text.get("tie_word_embeddings"))
    decoder, tower = _decoder(text, tied), _tower(vision)
    text.insist(tower.out_width == decoder.width, "out_hidden_size differs from hidden_size")
    return decoder, tower


class _Section:
    """One part of a config, read with checks."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        self._path = path
        self._values = values

    def get(self, name: str) -> Any:  # noqa: ANN401 - JSON holds anything
        return self._values.get(name)

    def has(self, name: str) -> bool:
        return name in self._values

    def whole(self, name: str, default: int | None = None) -> int:
        """A positive whole number; required where there is no default. null is as if missing."""
        value = self.get(name)
        value = default if value is None else value
        self.insist(
            isinstance(value, int) and not isinstance(value, bool) and value > 0,
            f"{name} is {value!r}, not a positive whole number",
        )
        return value

    def number(self, name: str, default: float) -> float:
        """A positive number. null is as if missing."""
        value = self.get(name)
        value = default if value is None else value
        self.insist(
            isinstance(value, int | float) and value > 0,
            f"{name} is {value!r}, not a positive number",
        )
        return float(value)

    def wholes(self, name: str, default: list[int] | None = None) -> tuple[int, ...]:
        """Whole numbers, none negative; required where there is no default."""
        value = self._values.get(name, default)
        self.insist(
            isinstance(value, list) and all(isinstance(each, int) and each >= 0 for each in value),
            f"{name} is {value!r}, not a list of whole numbers",
        )
        return tuple(value)

    def insist(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise CheckpointError(f"{self._path}: {otherwise}")

    def part(self, values: Mapping[str, Any]) -> _Section:
        return _Section(self._path, values)


def _decoder(text: _Section, tied: bool) -> DecoderGeometry:
    # With both spellings in one config, transformers takes rope_scaling.
    rotary = text.part(text.get("rope_scaling") or text.get("rope_parameters") or {})
    kind = rotary.get("rope_type") or rotary.get("type")
    text.insist(kind in ROTARY_TYPES, f"rotary embeddings of type {kind!r} are not supported")
    layers = text.whole("num_hidden_layers")
    text.insist(not _slides(text, layers), "sliding-window attention is not supported")
    text.insist(text.get("hidden_act") in (None, "silu"), "hidden_act is not silu")
    width, heads = text.whole("hidden_size"), text.whole("num_attention_heads")
    theta_section = rotary if rotary.get("rope_theta") is not None else text
    geometry = DecoderGeometry(
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=_kv_heads(text, heads),
        head_dim=text.whole("head_dim", width // heads),
        intermediate=text.whole("intermediate_size"),
        vocabulary=text.whole("vocab_size", 152064),
        rms_epsilon=text.number("rms_norm_eps", 1e-5),
        rope_theta=theta_section.number("rope_theta", 1e6),
        mrope_section=rotary.wholes("mrope_section"),
        tied=tied,
    )
    text.insist(heads % geometry.kv_heads == 0, "num_key_value_heads does not divide the heads")
    text.insist(
        2 * sum(geometry.mrope_section) == geometry.head_dim,
        f"mrope_section {list(geometry.mrope_section)} does not fill half of {geometry.head_dim}",
    )
    return geometry


def _kv_heads(text: _Section, heads: int) -> int:
    """null is an old way to say that every head has keys of its own."""
    said = "num_key_value_heads"
    return heads if text.has(said) and text.get(said) is None else text.whole(said)


def _slides(text: _Section, layers: int) -> bool:
    """Whether any layer's attention slides: only layers from `max_window_layers` on do."""
    if kinds := text.get("layer_types"):
        return any(kind != "full_attention" for kind in kinds)
    if not text.get("use_sliding_window"):
        return False
    window = text.get("sliding_window") if text.has("sliding_window") else SLIDING_WINDOW
    return window is not None and text.whole("max_window_layers", MAX_WINDOW_LAYERS) < layers


def _tower(vision: _Section) -> VisionGeometry:
    vision.insist(vision.get("hidden_act") in (None, "silu"), "vision hidden_act is not silu")
    vision.insist(
        vision.get("tokens_per_second") is not None,
        "tokens_per_second is missing, and transformers' default is not what Qwen trained with",
    )
    geometry = VisionGeometry(
        depth=vision.whole("depth", 32),
        width=vision.whole("hidden_size"),
        heads=vision.whole("num_heads", 16),
        intermediate=vision.whole("intermediate_size", 3420),
        patch=vision.whole("patch_size", 14),
        temporal_patch=vision.whole("temporal_patch_size", 2),
        merge=vision.whole("spatial_merge_size", 2),
        window=vision.whole("window_size", 112),
        full_attention_blocks=vision.wholes("fullatt_block_indexes", [7, 15, 23, 31]),
        out_width=vision.whole("out_hidden_size", 3584),
        tokens_per_second=vision.whole("tokens_per_second"),
        channels=vision.whole("in_channels", vision.whole("in_chans", 3)),
    )
    vision.insist(geometry.width % geometry.heads == 0, "num_heads does not divide the width")
    return geometry
