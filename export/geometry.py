"""What the manifest says of sizes: of the model, and of the graphs as they were written."""

from __future__ import annotations

from export.checkpoints.gaze import GazeCheckpoint
from export.checkpoints.qwen import QwenCheckpoint
from export.modules.vjepa import VJepaEncoder
from runtime.bundle.manifest import (
    DecoderShape,
    Geometry,
    ResamplerShape,
    VisionShape,
    VJepaShape,
)


def bundle_geometry(
    qwen: QwenCheckpoint,
    encoder: VJepaEncoder,
    gaze: GazeCheckpoint,
    kept: tuple[int, ...],
    pruned: int | None,
) -> Geometry:
    """Every size of the model; `kept` and `pruned` are layers of the resampler's modules."""
    decoder, vision = qwen.decoder, qwen.vision
    vjepa, resampler = encoder.geometry, gaze.resampler.geometry
    return Geometry(
        DecoderShape(
            layers=decoder.layers,
            width=decoder.width,
            heads=decoder.heads,
            kv_heads=decoder.kv_heads,
            head_dim=decoder.head_dim,
            vocabulary=decoder.vocabulary,
            rope_theta=decoder.rope_theta,
            mrope_section=decoder.mrope_section,
        ),
        VisionShape(
            patch=vision.patch,
            merge=vision.merge,
            temporal_patch=vision.temporal_patch,
            window=vision.window,
            head_dim=vision.width // vision.heads,
        ),
        VJepaShape(vjepa.frames, vjepa.tubelets, vjepa.side, vjepa.width),
        ResamplerShape(kept, pruned, resampler.d_latent, resampler.n_blocks),
    )
