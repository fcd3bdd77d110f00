"""The five graphs of a bundle as functions, whatever engine runs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime import manifest as names
from runtime.bundle import Bundle
from runtime.context import Context
from runtime.engine import Engine, OnnxEngine
from runtime.interpolation import interpolation_matrix
from runtime.manifest import DECODER, GAZE, SCENE, VISION, VJEPA
from runtime.vision_layout import VisionLayout, vision_layout

EngineLoader = Callable[[Path], Engine]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What the resampler makes of a pair of frames before gaze enters; inputs of its gaze half."""

    outputs: dict[str, NDArray[np.float32]]


class Models:
    """Loads the graphs of a bundle once and runs them."""

    def __init__(self, bundle: Bundle, load: EngineLoader = OnnxEngine) -> None:
        self.bundle = bundle
        self._vjepa, self._scene, self._gaze, self._vision, self._decoder = (
            load(bundle.graph_path(graph)) for graph in (VJEPA, SCENE, GAZE, VISION, DECODER)
        )
        self.engine_name = self._decoder.name

    def features(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """V-JEPA over (16, h, w, 3) uint8 RGB -> (tubelets, side, side, d_vjepa)."""
        return self._vjepa.run({names.CLIP: frames})[names.TUBELET_FEATURES]

    def scene(
        self, features: NDArray[np.float32], step: int, steps: int, grid: tuple[int, int]
    ) -> Scene:
        """The scene half for temporal step `step` of a clip of `steps`, on `grid` (H, W)."""
        shape = self.bundle.manifest.geometry.vjepa
        inputs = {
            names.TUBELET_FEATURES: features,
            names.TUBELET_WEIGHTS: interpolation_matrix(steps, shape.tubelets)[step],
            names.ROW_WEIGHTS: interpolation_matrix(grid[0], shape.side),
            names.COLUMN_WEIGHTS: interpolation_matrix(grid[1], shape.side),
        }
        return Scene(self._scene.run(inputs))

    def residuals(self, scene: Scene, encoding: NDArray[np.float32]) -> NDArray[np.float32]:
        """The gaze half: encoding (d_latent,) -> residuals (injected, H*W, D)."""
        return self._gaze.run({**scene.outputs, names.GAZE_ENCODING: encoding})[names.RESIDUALS]

    def visual(self, pair: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The vision tower: (2, 28H, 28W, 3) uint8 RGB -> visual embeddings (H*W, D)."""
        pixels = self.bundle.manifest.geometry.vision.token_pixels
        layout = self._layout(pair.shape[1] // pixels, pair.shape[2] // pixels)
        inputs = {names.FRAME_PAIR: pair, **layout.inputs()}
        return self._vision.run(inputs)[names.VISUAL_EMBEDDINGS]

    def context(self, grid: tuple[int, int], capacity: int) -> Context:
        """A new context for steps of `grid` (H, W), of at most `capacity` tokens."""
        return Context(self._decoder, self.bundle.manifest, self.bundle.embeddings, grid, capacity)

    @lru_cache(maxsize=8)  # noqa: B019 - a few grids, as long as the models
    def _layout(self, height: int, width: int) -> VisionLayout:
        return vision_layout(self.bundle.manifest.geometry.vision, height, width)
