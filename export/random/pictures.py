"""The picture processor's file of a Qwen2.5-VL folder, as the hub has it."""

from __future__ import annotations

import json
from pathlib import Path

from export.checkpoints.pictures import CLIP_MEAN, CLIP_STD
from export.checkpoints.qwen_config import VisionGeometry

PIXELS = (3136, 12845056)  # of the released models


def write_pictures(folder: Path, vision: VisionGeometry) -> None:
    """Write preprocessor_config.json, which transformers' AutoImageProcessor loads."""
    content = {
        "min_pixels": PIXELS[0],
        "max_pixels": PIXELS[1],
        "patch_size": vision.patch,
        "temporal_patch_size": vision.temporal_patch,
        "merge_size": vision.merge,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
    }
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
