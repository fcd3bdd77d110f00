"""How far a built engine is from its graph: on what inputs, and by what measure."""

from __future__ import annotations

import numpy as np

from runtime.bundle.manifest import Manifest, TensorSpec
from runtime.bundle.names import CLIP, VISION, VJEPA
from runtime.engines.shape_profiles import Shape
from runtime.inputs.clip_layout import clip_layout
from runtime.inputs.vision_layout import vision_layout


def relative_difference(found: np.ndarray, reference: np.ndarray) -> float:
    """The largest difference over the root mean square of the reference; infinite if not finite."""
    scale = float(np.sqrt(np.mean(np.square(reference, dtype=np.float64))))
    largest = float(np.abs(found.astype(np.float64) - reference).max())
    return largest / max(scale, 1e-12) if np.isfinite(largest) else float("inf")


def random_inputs(
    manifest: Manifest, graph: str, shapes: dict[str, Shape]
) -> dict[str, np.ndarray]:
    """Inputs of those shapes that a graph can be compared with; layouts are real ones."""
    rng = np.random.default_rng(0)
    specs = {spec.name: spec for spec in manifest.graphs[graph].inputs}
    inputs = {name: _drawn(rng, specs[name], shape) for name, shape in shapes.items()}
    if graph == VISION:
        pixels = manifest.geometry.vision.token_pixels
        frame = shapes["frame_pair"]
        height, width = frame[1] // pixels, frame[2] // pixels
        inputs |= vision_layout(manifest.geometry.vision, height, width).inputs()
    if graph == VJEPA:
        frames = shapes[CLIP]
        inputs |= clip_layout(manifest.geometry.vjepa, frames, steps=frames[0] // 2)
    return inputs


def _drawn(rng: np.random.Generator, spec: TensorSpec, shape: Shape) -> np.ndarray:
    if spec.type == "uint8":
        return rng.integers(0, 256, shape, np.uint8)
    return rng.uniform(0, 1, shape).astype(spec.type)
