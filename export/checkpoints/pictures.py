"""How a checkpoint's own processor turns a picture into numbers, read from its files.

Sources: `preprocessor_config.json` (the hub's), `video_preprocessor_config.json` and
`processor_config.json` (transformers 5). An entry that is missing has transformers' default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.checkpoints.common import CheckpointError, read_json
from export.checkpoints.qwen_config import VisionGeometry

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
LEAST_PIXELS, MOST_PIXELS = 56 * 56, 28 * 28 * 1280
CHANNELS = 3


@dataclass(frozen=True, slots=True)
class PictureRule:
    """`(pixel * rescale - mean) / std` per channel; pictures of `pixels[0]` to `pixels[1]`."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    rescale: float
    patch: int
    temporal_patch: int
    merge: int
    pixels: tuple[int, int]

    def check(self, height: int, width: int) -> None:
        """See that the processor would leave a picture of this size (pixels) as it is."""
        if not self.pixels[0] <= height * width <= self.pixels[1]:
            raise CheckpointError(
                f"a picture of {width} x {height} pixels is none that the checkpoint's processor "
                f"makes (min_pixels {self.pixels[0]}, max_pixels {self.pixels[1]}): "
                "choose another --live-grid"
            )


def read_pictures(folder: Path, vision: VisionGeometry) -> PictureRule:
    """The rule of a Qwen2.5-VL folder; CheckpointError where its files or its tower contradict it.

    Pictures of a video are treated as single ones are: files that say otherwise are refused.
    """
    rules = {path: _rule(path, entries) for path, entries in _sources(folder)}
    if not rules:
        raise CheckpointError(
            f"{folder}: it has no preprocessor_config.json: copy it from where the model comes from"
        )
    (path, rule), *others = rules.items()
    for other, differing in others:
        for entry in ("mean", "std", "rescale", "patch", "temporal_patch", "merge"):
            if getattr(rule, entry) != getattr(differing, entry):
                raise CheckpointError(
                    f"{folder}: {path} and {other} differ in {entry}: keep the file that the "
                    "model was trained with"
                )
    for entry in ("patch", "temporal_patch", "merge"):
        said, built = getattr(rule, entry), getattr(vision, entry)
        if said != built:
            raise CheckpointError(
                f"{folder}/{path}: its {entry} size is {said}, the vision tower's is {built}"
            )
    return rule


def _sources(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What speaks of single pictures first, then what speaks of videos."""
    path = folder / "processor_config.json"
    nested = read_json(path) if path.is_file() else {}
    for part, name in (
        ("image_processor", "preprocessor_config.json"),
        ("video_processor", "video_preprocessor_config.json"),
    ):
        if isinstance(nested.get(part), dict):
            yield f"processor_config.json, {part}", nested[part]
        elif (folder / name).is_file():
            yield name, read_json(folder / name)


def _rule(name: str, entries: Mapping[str, Any]) -> PictureRule:
    normal = entries.get("do_normalize", True)
    size = entries.get("size") or {}
    least = entries.get("min_pixels") or size.get("shortest_edge") or LEAST_PIXELS
    most = entries.get("max_pixels") or size.get("longest_edge") or MOST_PIXELS
    return PictureRule(
        _channels(name, entries, "image_mean", CLIP_MEAN) if normal else (0.0,) * CHANNELS,
        _channels(name, entries, "image_std", CLIP_STD) if normal else (1.0,) * CHANNELS,
        entries.get("rescale_factor", 1 / 255) if entries.get("do_rescale", True) else 1.0,
        _size(name, entries, "patch_size", 14),
        _size(name, entries, "temporal_patch_size", 2),
        _size(name, entries, "merge_size", 2),
        (least, most),
    )


def _channels(
    name: str, entries: Mapping[str, Any], key: str, default: tuple[float, ...]
) -> tuple[float, ...]:
    values = entries.get(key)
    if values is None:
        return default
    values = [values] * CHANNELS if isinstance(values, int | float) else values
    numbers = isinstance(values, list) and all(isinstance(each, int | float) for each in values)
    if not numbers or len(values) != CHANNELS or (key == "image_std" and min(values) <= 0):
        raise CheckpointError(f"{name}: {key} is {values!r}, not {CHANNELS} numbers that serve")
    return tuple(float(each) for each in values)


def _size(name: str, entries: Mapping[str, Any], key: str, default: int) -> int:
    value = entries.get(key, default)
    if not isinstance(value, int) or value < 1:
        raise CheckpointError(f"{name}: {key} is {value!r}, not a positive whole number")
    return value
