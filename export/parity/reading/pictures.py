"""Pictures as the checkpoint's own processor prepares them, and ours compared with them.

transformers' processor of videos needs torchvision, that of single pictures does not: each frame of
a pair goes through the latter, and the two are put together as the former would.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoImageProcessor

from export.checkpoints.common import CheckpointError
from export.checkpoints.pictures import PictureRule
from export.parity.reading.findings import agreed, entries
from export.parity.reading.transformers_reading import ORACLE, quiet
from runtime.bundle.manifest import ParityFigure

PICTURES = "pictures"
TOLERANCE = 1e-5  # of a normalised pixel


class Pictures:
    """The image processor of a Qwen2.5-VL folder, as transformers loads it."""

    def __init__(self, folder: Path) -> None:
        """Raises CheckpointError where transformers can't load it."""
        try:
            with quiet():
                self.processor: Any = AutoImageProcessor.from_pretrained(folder)
        except Exception as error:  # whatever it is, pictures can't be compared
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise CheckpointError(
                f"{folder}: {ORACLE} can't load its picture processor: {reason[0]}"
            ) from error

    def patches(self, pair: NDArray[np.uint8], resize: bool = False) -> Tensor:
        """Two frames (2, h, w, 3) as the tower takes them: (patches, 3 * 2 * patch * patch)."""
        processor = self.processor
        frames, patch = processor.temporal_patch_size, processor.patch_size
        rows = [
            processor(
                images=[frame],
                do_resize=resize,
                input_data_format="channels_last",
                return_tensors="pt",
            )["pixel_values"].unflatten(1, (3, frames, patch, patch))
            for frame in pair
        ]
        return torch.stack([row[:, :, 0] for row in rows], dim=2).flatten(1)


def compare_pictures(
    rule: PictureRule, pictures: Pictures, size: tuple[int, int]
) -> Iterator[ParityFigure]:
    """Every entry of our rule, and one picture of `size` (pixels) through both."""
    theirs = pictures.processor
    scale = theirs.rescale_factor if theirs.do_rescale else 1.0
    limits = (theirs.size["shortest_edge"], theirs.size["longest_edge"])
    normal = theirs.do_normalize
    yield from entries(
        PICTURES,
        "preprocessor_config.json",
        f"{ORACLE}, AutoImageProcessor",
        (
            ("image_mean", rule.mean, tuple(theirs.image_mean) if normal else (0.0,) * 3),
            ("image_std", rule.std, tuple(theirs.image_std) if normal else (1.0,) * 3),
            ("rescale_factor", rule.rescale, scale),
            ("patch_size", rule.patch, theirs.patch_size),
            ("temporal_patch_size", rule.temporal_patch, theirs.temporal_patch_size),
            ("merge_size", rule.merge, theirs.merge_size),
            ("min_pixels and max_pixels", rule.pixels, limits),
        ),
    )
    frame = picture(*size)
    ours = (frame * rule.rescale - np.array(rule.mean)) / np.array(rule.std)
    prepared = pictures.patches(np.stack([frame, frame]), resize=True)
    case = f"a picture of {size[1]} x {size[0]} pixels, as the checkpoint's processor prepares it"
    patches = size[0] * size[1] // rule.patch**2
    if len(prepared) != patches:
        case = f"{case}: it makes {len(prepared)} patches of it, {patches} are expected"
        yield ParityFigure(PICTURES, case, float(abs(len(prepared) - patches)), 0.0)
        return
    patch, merge = rule.patch, rule.merge
    down, across = size[0] // (patch * merge), size[1] // (patch * merge)
    first = prepared.unflatten(1, (3, -1, patch, patch))[:, :, 0]
    laid = first.unflatten(0, (down, across, merge, merge)).permute(0, 2, 5, 1, 3, 6, 4)
    difference = np.abs(ours - laid.reshape(*size, 3).numpy()).max()
    yield agreed(PICTURES, case, float(difference), TOLERANCE)


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """A picture with every brightness, slopes, edges and grain: (height, width, 3) uint8."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    slopes = np.stack([rows / height, columns / width, (rows + columns) / (height + width)], -1)
    edges = 0.3 * ((rows // 9 + columns // 13) % 2)[..., None]
    grain = np.random.default_rng(11).uniform(-0.1, 0.1, (height, width, 3))
    return (255 * np.clip(slopes * 0.8 + edges + grain, 0, 1)).astype(np.uint8)
