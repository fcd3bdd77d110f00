"""Random checkpoints of the real architecture, in the layouts that trained ones come in.

They are exported through the same code as trained ones: for tests, and for sizing a device without
a download. Their answers mean nothing.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from export import files
from export.checkpoints.common import CheckpointError, write_tensor_file
from export.checkpoints.gaze import GEOMETRY_KEYS
from export.checkpoints.qwen import VISION
from export.checkpoints.qwen_config import MODEL_TYPE, DecoderGeometry, VisionGeometry
from export.checkpoints.vjepa import ENCODER_KEY
from export.modules.resampler import GazeResampler
from export.modules.vjepa import VJepaEncoder, VJepaGeometry
from export.random.pictures import write_pictures
from export.random.safetensors_writer import Shape, write_shards
from export.random.shapes import CORPUS, SHAPES, RandomShape
from export.random.tensors import random_pieces, random_tensor
from export.random.tokenizer import (
    END_OF_TEXT,
    IMAGE_PAD,
    TURN_END,
    VIDEO_PAD,
    VISION_END,
    VISION_PAD,
    VISION_START,
    train_tokenizer,
    write_tokenizer,
)

LORA_RANK, LORA_ALPHA = 8, 16.0
WHOLE_FILE = "drawn.txt"  # what the checkpoints beside it were drawn from, and their sizes
DRAWING = 3  # rises when the same seed gives other checkpoints
FLOAT_BYTES = 4  # of the encoder and the gaze checkpoint

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RandomCheckpoints:
    """What was written. `vjepa_pixels` is the side of the encoder's frames."""

    qwen_folder: Path
    vjepa_file: Path
    gaze_file: Path
    vjepa_pixels: int


def write_random(
    shape: str, seed: int, folder: Path, progress: Progress | None = None
) -> RandomCheckpoints:
    """Write the checkpoints of one of SHAPES into `folder`; the same seed gives the same bytes.

    What was written whole from the same shape and seed is left as it is, for as long as no file is
    gone or of another size. `progress(done, total)` hears of bytes written. Raises CheckpointError
    for an unknown shape and where the disk is too small.
    """
    if shape not in SHAPES:
        raise CheckpointError(f"unknown shape {shape!r}: choose one of {', '.join(SHAPES)}")
    writer = _Writer(SHAPES[shape], seed, folder, progress)
    whole, origin = folder / WHOLE_FILE, f"{SHAPES[shape]} seed {seed}, drawing {DRAWING}"
    if whole.is_file() and whole.read_bytes() == _record(origin, folder):
        return writer.files
    whole.unlink(missing_ok=True)
    writer.write()
    files.write(whole, _record(origin, folder))
    return writer.files


def _record(origin: str, folder: Path) -> bytes:
    """What the checkpoints of a folder were drawn from, and how large their files are."""
    drawn = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != WHOLE_FILE)
    sizes = [f"{path.relative_to(folder)} {path.stat().st_size}" for path in drawn]
    return "\n".join([origin, *sizes, ""]).encode()


class _Writer:
    def __init__(
        self, shape: RandomShape, seed: int, folder: Path, progress: Progress | None
    ) -> None:
        self._shape = shape
        self._seed = seed
        self._progress = progress
        self.files = RandomCheckpoints(
            folder / "qwen", folder / "vjepa.pt", folder / "gazeqwen.pt", shape.vjepa.pixels
        )
        self._qwen = _qwen_shapes(shape)
        self._vjepa = _vjepa_shapes(shape.vjepa)
        self._gaze = _shapes_of(lambda: GazeResampler(shape.resampler))
        self._lora = _lora_shapes(shape.decoder)
        self._done = 0
        self._total = _elements(self._qwen) * shape.dtype.itemsize + FLOAT_BYTES * sum(
            map(_elements, (self._vjepa, self._gaze, self._lora))
        )

    def write(self) -> None:
        self.files.qwen_folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.files.qwen_folder).free
        if free < self._total:
            raise CheckpointError(
                f"{self.files.qwen_folder}: {self._total / 1e9:.1f} GB are needed and "
                f"{free / 1e9:.1f} GB are free"
            )
        self._write_qwen()
        self._write_vjepa()
        self._write_gaze()

    def _write_qwen(self) -> None:
        folder, shape = self.files.qwen_folder, self._shape
        tokenizer = train_tokenizer(CORPUS, shape.decoder.vocabulary)
        write_tokenizer(tokenizer, folder)
        _write_json(folder / "config.json", _config(shape, tokenizer))
        _write_json(folder / "generation_config.json", _generation_config(tokenizer))
        write_pictures(folder, shape.vision)
        write_shards(
            folder,
            self._qwen,
            shape.dtype,
            shape.shard_bytes,
            lambda name, size: random_pieces(name, size, self._seed),
            self._advance,
        )

    def _write_vjepa(self) -> None:
        encoder = {f"module.backbone.{name}": tensor for name, tensor in self._draw(self._vjepa)}
        write_tensor_file(self.files.vjepa_file, {ENCODER_KEY: encoder})

    def _write_gaze(self) -> None:
        geometry = self._shape.resampler
        state = dict(self._draw(self._gaze))
        # Training moves the amplitudes of the injected layers only.
        injected = list(geometry.injected_layers)
        amplitude = torch.ones_like(state["amplitude"])
        amplitude[injected] = state["amplitude"][injected]
        content = {
            "state_dict": state | {"amplitude": amplitude},
            "config": {key: getattr(geometry, key) for key in GEOMETRY_KEYS},
            "lora_state_dict": dict(self._draw(self._lora)),
            "lora_config": {"rank": LORA_RANK, "alpha": LORA_ALPHA},
        }
        write_tensor_file(self.files.gaze_file, content)

    def _draw(self, shapes: Mapping[str, Shape]) -> list[tuple[str, torch.Tensor]]:
        drawn = [(name, random_tensor(name, shape, self._seed)) for name, shape in shapes.items()]
        self._advance(_elements(shapes) * FLOAT_BYTES)
        return drawn

    def _advance(self, size: int) -> None:
        self._done += size
        if self._progress:
            self._progress(self._done, self._total)


def _qwen_shapes(shape: RandomShape) -> dict[str, Shape]:
    """Every tensor under its name in the hub's layout."""
    vision = {VISION + name: size for name, size in shape.vision.shapes().items()}
    decoder = {
        name if name == "lm_head.weight" else f"model.{name}": size
        for name, size in shape.decoder.shapes().items()
    }
    return vision | decoder


def _vjepa_shapes(geometry: VJepaGeometry) -> dict[str, Shape]:
    """The encoder's tensors, and those for still images that the released file has as well."""
    still = {
        "patch_embed_img.proj.weight": (geometry.width, 3, 1, geometry.patch, geometry.patch),
        "patch_embed_img.proj.bias": (geometry.width,),
        "img_mod_embed": (1, 1, geometry.width),
    }
    return _shapes_of(lambda: VJepaEncoder(geometry)) | still


def _lora_shapes(decoder: DecoderGeometry) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for layer in range(decoder.layers):
        for projection in ("q_proj", "v_proj"):
            name = f"layers.{layer}.self_attn.{projection}"
            out, width = decoder.shapes()[f"{name}.weight"]
            shapes[f"model.{name}.lora_A"] = (LORA_RANK, width)
            shapes[f"model.{name}.lora_B"] = (out, LORA_RANK)
    return shapes


def _shapes_of(build: Callable[[], torch.nn.Module]) -> dict[str, Shape]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}


def _elements(shapes: Mapping[str, Shape]) -> int:
    return sum(map(math.prod, shapes.values()))


def _config(shape: RandomShape, tokenizer: Tokenizer) -> dict[str, object]:
    """config.json as the hub has it: the decoder's keys flat, beside `vision_config`."""
    decoder = shape.decoder
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": MODEL_TYPE,
        "attention_dropout": 0.0,
        "bos_token_id": tokenizer.token_to_id(END_OF_TEXT),
        "eos_token_id": tokenizer.token_to_id(TURN_END),
        "vision_start_token_id": tokenizer.token_to_id(VISION_START),
        "vision_end_token_id": tokenizer.token_to_id(VISION_END),
        "vision_token_id": tokenizer.token_to_id(VISION_PAD),
        "image_token_id": tokenizer.token_to_id(IMAGE_PAD),
        "video_token_id": tokenizer.token_to_id(VIDEO_PAD),
        "hidden_act": "silu",
        "hidden_size": decoder.width,
        "initializer_range": 0.02,
        "intermediate_size": decoder.intermediate,
        "max_position_embeddings": 128000,
        "max_window_layers": decoder.layers,
        "num_attention_heads": decoder.heads,
        "num_hidden_layers": decoder.layers,
        "num_key_value_heads": decoder.kv_heads,
        "rms_norm_eps": decoder.rms_epsilon,
        "rope_scaling": {"type": "mrope", "mrope_section": list(decoder.mrope_section)},
        "rope_theta": decoder.rope_theta,
        "sliding_window": 32768,
        "tie_word_embeddings": decoder.tied,
        "torch_dtype": str(shape.dtype).removeprefix("torch."),
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": _vision_config(shape.vision),
        "vocab_size": decoder.vocabulary,
    }


def _vision_config(vision: VisionGeometry) -> dict[str, object]:
    return {
        "depth": vision.depth,
        "hidden_act": "silu",
        "hidden_size": vision.width,
        "intermediate_size": vision.intermediate,
        "num_heads": vision.heads,
        "in_chans": vision.channels,
        "out_hidden_size": vision.out_width,
        "patch_size": vision.patch,
        "spatial_merge_size": vision.merge,
        "spatial_patch_size": vision.patch,
        "window_size": vision.window,
        "fullatt_block_indexes": list(vision.full_attention_blocks),
        "tokens_per_second": vision.tokens_per_second,
        "temporal_patch_size": vision.temporal_patch,
    }


def _generation_config(tokenizer: Tokenizer) -> dict[str, object]:
    end_of_text = tokenizer.token_to_id(END_OF_TEXT)
    return {
        "bos_token_id": end_of_text,
        "pad_token_id": end_of_text,
        "eos_token_id": [tokenizer.token_to_id(TURN_END), end_of_text],
        "do_sample": False,
    }


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    files.write(path, (json.dumps(content, indent=2) + "\n").encode())
