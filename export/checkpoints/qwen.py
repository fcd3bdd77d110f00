"""A Qwen2.5-VL folder: its geometry, and its tensors one at a time, under one set of names.

The names are those of transformers without the prefixes that differ between layouts: the decoder's
start with `layers.`, `embed_tokens.`, `norm.` or `lm_head.`, the vision tower's with `visual.`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from export.checkpoints.common import CheckpointError, listed, sha256
from export.checkpoints.qwen_config import DecoderGeometry, VisionGeometry, read_config

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
HEAD, EMBEDDINGS = "lm_head.weight", "embed_tokens.weight"
# Whatever of these is there decides what the model reads, says or stops at.
HASHED_BESIDE_WEIGHTS = (
    "config.json",
    INDEX_FILE,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
)
UNQUANTISED = ("F32", "F16", "BF16")
VISION = "visual."

# What stored names start with and canonical ones don't: in transformers 4.52, and on the hub (where
# the vision tower has no prefix at all).
PREFIXES = ("model.language_model.", "model.")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies, under which name, and as what."""

    file: Path
    stored_name: str
    shape: tuple[int, ...]
    stored_type: str


@dataclass(frozen=True)
class QwenCheckpoint:
    """An opened folder: every tensor's presence and shape is known to be right, none is read."""

    folder: Path
    decoder: DecoderGeometry
    vision: VisionGeometry
    _places: Mapping[str, Place]

    @classmethod
    def open(cls, folder: Path) -> QwenCheckpoint:
        """Read the config and the shards' headers, and check one against the other.

        Raises CheckpointError for a folder that is not a Qwen2.5-VL's, a missing or truncated
        shard, and a tensor that is missing, quantised, of the wrong shape or unknown.
        """
        if not folder.is_dir():
            raise CheckpointError(f"{folder}: there is no such folder")
        decoder, vision = read_config(folder)
        if adapters := [name for name in ADAPTER_FILES if (folder / name).is_file()]:
            raise CheckpointError(
                f"{folder}: {adapters[0]} adapts the model, and only the GazeQwen file may: merge "
                "the adapter into the weights, or take its files out of the folder"
            )
        places = _places(folder)
        if HEAD in places:  # transformers ties no head that is stored, whatever the config says
            decoder = replace(decoder, tied=False)
        expected = decoder.shapes()
        expected |= {VISION + name: shape for name, shape in vision.shapes().items()}
        _check(folder, places, expected)
        return cls(folder, decoder, vision, places)

    def file_of(self, name: str) -> Path:
        """Where a tensor lies, by its canonical name."""
        return self._places[name].file

    def tensor(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """Read one tensor by its canonical name, cast to `dtype` or as stored.

        `lm_head.weight` is `embed_tokens.weight` when the two are tied. Never write to it: as
        stored, it is the file's own pages.
        """
        if name == HEAD and self.decoder.tied:
            name = EMBEDDINGS
        place = self.place(name)
        try:
            with safe_open(place.file, "pt") as shard:
                tensor = shard.get_tensor(place.stored_name)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{place.file}: {name} can't be read: {error}") from error
        return tensor if dtype is None else tensor.to(dtype)

    def place(self, name: str) -> Place:
        """Where a tensor lies, by its canonical name."""
        place = self._places.get(name)
        if place is None:
            raise CheckpointError(f"{self.folder}: there is no tensor {name}")
        return place

    def vision_state(self, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """The vision tower's state dict, under transformers' names without a prefix."""
        return {name: self.tensor(VISION + name, dtype) for name in self.vision.shapes()}

    def hashes(self) -> dict[str, str]:
        """sha256 of every file that the bundle is made from: {file name: hexadecimal}."""
        shards = sorted({place.file for place in self._places.values()})
        beside = [self.folder / name for name in HASHED_BESIDE_WEIGHTS]
        files = [path for path in beside if path.is_file()] + shards
        return {path.name: sha256(path) for path in files}


def canonical_name(stored: str) -> str:
    """The layout-independent name of a stored tensor."""
    for prefix in PREFIXES:
        if stored.startswith(prefix):
            return stored.removeprefix(prefix)
    return stored


def _places(folder: Path) -> dict[str, Place]:
    """Every stored tensor by its canonical name; no weight may be stored twice."""
    places: dict[str, Place] = {}
    for shard in _shards(folder):
        for place in _contents(shard):
            name = canonical_name(place.stored_name)
            if name in places:
                first = places[name]
                raise CheckpointError(
                    f"{folder}: one weight is stored twice, as {first.stored_name} in "
                    f"{first.file.name} and as {place.stored_name} in {shard.name}: take one out"
                )
            places[name] = place
    return places


def _shards(folder: Path) -> list[Path]:
    """The files that hold the weights, all of them present.

    A single file goes before an index, as in transformers.
    """
    single, index = folder / SINGLE_FILE, folder / INDEX_FILE
    if single.is_file():
        return [single]
    if not index.is_file():
        raise CheckpointError(f"{folder}: it has neither {INDEX_FILE} nor {SINGLE_FILE}")
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index}: not an index of safetensors shards") from error
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise CheckpointError(f"{folder}: shards are missing: {listed(missing)}")
    return [folder / name for name in names]


def _contents(shard: Path) -> list[Place]:
    """What a shard holds. Its header says how long the file must be, so truncation shows here."""
    try:
        with safe_open(shard, "pt") as file:
            pieces = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return [
                Place(shard, name, tuple(piece.get_shape()), piece.get_dtype())
                for name, piece in pieces.items()
            ]
    except (OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{shard}: truncated or damaged: {reason}") from error


def _check(
    folder: Path, places: Mapping[str, Place], expected: Mapping[str, tuple[int, ...]]
) -> None:
    if missing := [name for name in expected if name not in places]:
        raise CheckpointError(f"{folder}: tensors are missing: {listed(missing)}")
    # A layer or a bias that the config knows nothing of would otherwise be dropped in silence.
    unknown = [
        name
        for name in places
        if name.startswith(("layers.", VISION)) and name not in expected and "inv_freq" not in name
    ]
    if unknown:
        raise CheckpointError(f"{folder}: tensors that its config excludes: {listed(unknown)}")
    for name, shape in expected.items():
        place = places[name]
        if place.shape != shape:
            raise CheckpointError(
                f"{place.file}: {name} has shape {place.shape}, its config says {shape}"
            )
        if place.stored_type not in UNQUANTISED:
            raise CheckpointError(
                f"{place.file}: {name} is stored as {place.stored_type}: export from the original "
                f"weights ({', '.join(UNQUANTISED)})"
            )
