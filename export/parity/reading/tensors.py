"""Our reading of a Qwen2.5-VL folder against transformers': config, names, shapes, values.

Before anything is rounded, and tensor by tensor: no more of a checkpoint lies in memory than its
largest tensor.
"""

from __future__ import annotations

from collections.abc import Iterator

import peft
import torch
from torch import Tensor
from transformers import Qwen2_5_VLForConditionalGeneration

from export.checkpoints.common import CheckpointError
from export.checkpoints.qwen import QwenCheckpoint
from export.checkpoints.qwen_config import DecoderGeometry, VisionGeometry
from export.graphs.precision.quantization import ROWS
from export.graphs.weights import DecoderWeights
from export.parity.reading.findings import MOST_NAMED, agreed, differs, entries
from export.parity.reading.released_gaze import ReleasedGaze
from export.parity.reading.transformers_reading import ORACLE, StoredTensor, TransformersReading
from runtime.bundle.manifest import ParityFigure

READING = "reading"
DECODER, TOWER = "model.language_model.", "model.visual."  # in transformers
MERGED_TOLERANCE = 1e-6  # of the largest value: the order of sums


def compare_config(
    qwen: QwenCheckpoint, model: Qwen2_5_VLForConditionalGeneration
) -> Iterator[ParityFigure]:
    """Every entry that sizes or moves a number, read off the modules that transformers built."""
    table = [*_decoder_entries(qwen.decoder, model), *_tower_entries(qwen.vision, model)]
    yield from entries(READING, "config.json", f"{ORACLE}, AutoConfig", table)


def _decoder_entries(
    ours: DecoderGeometry, model: Qwen2_5_VLForConditionalGeneration
) -> Iterator[tuple[str, object, object]]:
    text, decoder = model.config.get_text_config(), model.model.language_model
    layer, rotary = decoder.layers[0], decoder.rotary_emb
    yield "num_hidden_layers", ours.layers, len(decoder.layers)
    yield "hidden_size", ours.width, text.hidden_size
    yield "num_attention_heads", ours.heads, text.num_attention_heads
    yield "num_key_value_heads", ours.kv_heads, text.num_key_value_heads
    yield "head_dim", ours.head_dim, layer.self_attn.head_dim
    yield "intermediate_size", ours.intermediate, text.intermediate_size
    yield "vocab_size", ours.vocabulary, model.lm_head.out_features
    yield "rms_norm_eps", ours.rms_epsilon, layer.input_layernorm.variance_epsilon
    yield "rope_theta", ours.rope_theta, float(text.rope_parameters["rope_theta"])
    yield "mrope_section", tuple(ours.mrope_section), tuple(rotary.mrope_section)
    yield "rope_type", "default", rotary.rope_type
    yield "hidden_act", "silu", text.hidden_act
    yield "layer_types", {"full_attention"}, set(text.layer_types)


def _tower_entries(
    ours: VisionGeometry, model: Qwen2_5_VLForConditionalGeneration
) -> Iterator[tuple[str, object, object]]:
    config, tower = model.config.vision_config, model.model.visual
    yield "vision depth", ours.depth, len(tower.blocks)
    yield "vision hidden_size", ours.width, config.hidden_size
    yield "vision num_heads", ours.heads, config.num_heads
    yield "vision intermediate_size", ours.intermediate, config.intermediate_size
    yield "patch_size", ours.patch, config.patch_size
    yield "temporal_patch_size", ours.temporal_patch, config.temporal_patch_size
    yield "spatial_merge_size", ours.merge, config.spatial_merge_size
    yield "window_size", ours.window, config.window_size
    full = tuple(config.fullatt_block_indexes)
    yield "fullatt_block_indexes", tuple(ours.full_attention_blocks), full
    yield "out_hidden_size", ours.out_width, config.out_hidden_size
    yield "tokens_per_second", ours.tokens_per_second, config.tokens_per_second
    yield "in_channels", ours.channels, config.in_channels
    yield "vision hidden_act", "silu", config.hidden_act


def compare_tensors(
    qwen: QwenCheckpoint, weights: DecoderWeights, theirs: TransformersReading, gaze: ReleasedGaze
) -> Iterator[ParityFigure]:
    """Every parameter of transformers' model, the adapted ones as peft merges them."""
    wrong = [
        differs(READING, f"{name}: no stored tensor reaches it as it is in {ORACLE}")
        for name in theirs.adrift
    ]
    merged = 0
    for name, place in theirs.sources.items():
        layer, projection = _place(name)
        adapted = (layer, projection) in gaze.adapted and name.endswith(".weight")
        merged += adapted
        try:
            if adapted:
                found = _merged_difference(qwen, weights, name, place, gaze)
            else:
                found = _difference(_our_tensor(qwen, weights, name), place.read())
        except CheckpointError as error:
            wrong.append(differs(READING, f"{name}: {error}"))
            continue
        if found is not None:
            reader = f"peft {peft.__version__} merges into it" if adapted else f"{ORACLE} gives it"
            told = f"{name}: {_ours(name)} is not what {reader}, {place.name} of {place.file.name}"
            wrong.append(differs(READING, told, found))
    yield from wrong[:MOST_NAMED]
    if len(wrong) > MOST_NAMED:
        yield differs(READING, f"{len(wrong) - MOST_NAMED} more tensors differ")
    if not wrong:
        files = len({place.file for place in theirs.sources.values()})
        yield agreed(
            READING,
            f"{len(theirs.sources) - merged} tensors of {files} files, name, shape and every "
            f"value, as {ORACLE} loads them",
        )
        if merged:
            told = f"{merged} adapted weights, as peft {peft.__version__} merges them"
            yield agreed(READING, told, 0.0, MERGED_TOLERANCE)


def _ours(name: str) -> str:
    """Our name of a parameter of transformers' model."""
    if name.startswith(TOWER):
        return f"visual.{name.removeprefix(TOWER)}"
    return name.removeprefix(DECODER)


def _place(name: str) -> tuple[int, str]:
    """Layer and projection of a parameter of the decoder; (-1, "") for every other."""
    parts = name.removeprefix(DECODER).split(".")
    if not name.startswith(f"{DECODER}layers.") or len(parts) < 4:
        return -1, ""
    return int(parts[1]), parts[3]


def _our_tensor(qwen: QwenCheckpoint, weights: DecoderWeights, name: str) -> Tensor:
    if name.startswith(TOWER):
        return qwen.tensor(_ours(name))
    return weights.tensor(_ours(name))


def _merged_difference(
    qwen: QwenCheckpoint,
    weights: DecoderWeights,
    name: str,
    place: StoredTensor,
    gaze: ReleasedGaze,
) -> float | None:
    merged = gaze.merged(place.read(), *_place(name))
    ours = _our_tensor(qwen, weights, name)
    if ours.shape != merged.shape:
        return 1.0
    found = float((ours.float() - merged).abs().max())
    allowed = MERGED_TOLERANCE * float(merged.abs().max())
    return None if found <= allowed else found


def _difference(ours: Tensor, theirs: Tensor) -> float | None:
    """The largest difference; None where there is none."""
    if ours.shape != theirs.shape:
        return 1.0
    if ours.dtype == theirs.dtype and torch.equal(ours, theirs):
        return None
    if ours.dtype != theirs.dtype and ours.ndim and torch.equal(ours.float(), theirs.float()):
        return None
    pairs = zip(ours.split(ROWS), theirs.split(ROWS), strict=True)
    return max(float((mine.float() - other.float()).abs().max()) for mine, other in pairs)
