"""Writes mini's checkpoints in the layouts in which the real ones are released."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import Qwen2_5_VLForConditionalGeneration

from export.checkpoints.common import write_tensor_file
from export.checkpoints.gaze import GEOMETRY_KEYS
from export.checkpoints.vjepa import ENCODER_KEY
from export.mini.lora import PROJECTIONS, LowRank
from export.mini.model import MiniModel
from export.mini.sizes import LORA_ALPHA, LORA_RANK, qwen_config
from export.parity.reading.transformers_reading import quiet
from export.random.pictures import write_pictures
from export.random.tokenizer import write_tokenizer

QWEN_FOLDER, VJEPA_FILE, GAZE_FILE = "qwen", "vjepa.pt", "gazeqwen.pt"


@dataclass(frozen=True, slots=True)
class MiniCheckpoints:
    """Where the checkpoints lie."""

    qwen_folder: Path
    vjepa_file: Path
    gaze_file: Path


def checkpoints_in(folder: Path) -> MiniCheckpoints:
    """The checkpoints of a folder that was written by `write_checkpoints`."""
    return MiniCheckpoints(folder / QWEN_FOLDER, folder / VJEPA_FILE, folder / GAZE_FILE)


def write_checkpoints(model: MiniModel, tokenizer: Tokenizer, folder: Path) -> MiniCheckpoints:
    """Write the Qwen2.5-VL folder, the V-JEPA file and the GazeQwen file."""
    files = checkpoints_in(folder)
    files.qwen_folder.mkdir(parents=True, exist_ok=True)
    _write_qwen(model, tokenizer, files.qwen_folder)
    encoder = {f"module.backbone.{name}": each for name, each in _own(model.vjepa).items()}
    write_tensor_file(files.vjepa_file, {ENCODER_KEY: encoder})
    geometry = model.sizes.resampler
    content = {
        "state_dict": _own(model.resampler),
        "config": {key: getattr(geometry, key) for key in GEOMETRY_KEYS},
        "lora_state_dict": _lora(model),
        "lora_config": {"rank": LORA_RANK, "alpha": LORA_ALPHA},
    }
    write_tensor_file(files.gaze_file, content)
    return files


def _write_qwen(model: MiniModel, tokenizer: Tokenizer, folder: Path) -> None:
    """The first stage's weights: what the second stage adds is in the GazeQwen file."""
    state = {
        name.replace("parametrizations.weight.original", "weight"): tensor
        for name, tensor in model.qwen.state_dict().items()
        if not name.endswith((".0.down", ".0.up"))
    }
    with quiet():
        plain = Qwen2_5_VLForConditionalGeneration(qwen_config(model.sizes, tokenizer))
        plain.load_state_dict(state)
        plain.save_pretrained(folder)
    write_tokenizer(tokenizer, folder)
    write_pictures(folder, model.sizes.vision)


def _lora(model: MiniModel) -> dict[str, Tensor]:
    pairs: dict[str, Tensor] = {}
    for number, layer in enumerate(model.qwen.model.language_model.layers):
        for name in PROJECTIONS:
            linear = getattr(layer.self_attn, name)
            adapter = linear.parametrizations.weight[0]
            assert isinstance(adapter, LowRank)
            prefix = f"model.layers.{number}.self_attn.{name}"
            pairs[f"{prefix}.lora_A"] = adapter.down.detach().clone()
            pairs[f"{prefix}.lora_B"] = adapter.up.detach().clone()
    return pairs


def _own(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
