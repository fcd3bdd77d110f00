"""The V-JEPA 2.1 encoder from its released checkpoint.

Source: `vjepa2_1_vitb_dist_vitG_384.pt` of facebookresearch/vjepa2, key `ema_encoder`.
"""

from __future__ import annotations

import re
from pathlib import Path

from export.checkpoints.common import (
    CheckpointError,
    load_strictly,
    read_tensor_file,
    refuse_not_finite,
    tensors_of,
)
from export.modules.vjepa import HEAD_DIM, VJepaEncoder, VJepaGeometry

ENCODER_KEY = "ema_encoder"
WRAPPERS = re.compile(r"^(?:(?:module|backbone)\.)+")
UNUSED_FOR_VIDEO = ("patch_embed_img.", "img_mod_embed")


def load_vjepa(path: Path, pixels: int = 384) -> VJepaEncoder:
    """The encoder in float32 and eval mode; its geometry is read off the tensors.

    `pixels` is the side of the frames it was trained on, which no tensor tells. Raises
    CheckpointError for a file that is not such a checkpoint, 2.0 models included, and for values
    that are not finite.
    """
    content = read_tensor_file(path)
    state = {
        WRAPPERS.sub("", name): tensor
        for name, tensor in tensors_of(content, ENCODER_KEY, path).items()
    }
    state = {
        name: tensor.float()
        for name, tensor in state.items()
        if not name.startswith(UNUSED_FOR_VIDEO)
    }
    patches = state.get("patch_embed.proj.weight")
    if patches is None or patches.ndim != 5 or patches.shape[0] % HEAD_DIM:
        raise CheckpointError(f"{path}: no V-JEPA video encoder: patch_embed.proj.weight is amiss")
    width, _, tubelet, patch, _ = patches.shape
    if pixels % patch:
        raise CheckpointError(f"{path}: {pixels} pixels are not a multiple of the patch ({patch})")
    blocks = {name.split(".")[1] for name in state if name.startswith("blocks.")}
    geometry = VJepaGeometry(width, len(blocks), pixels, patch=patch, tubelet=tubelet)
    encoder = VJepaEncoder(geometry)
    load_strictly(encoder, state, f"{path}: as a V-JEPA 2.1 encoder it")
    for name, tensor in state.items():
        refuse_not_finite(name, tensor, str(path))
    return encoder
