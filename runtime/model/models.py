"""The five graphs of a bundle as functions, whatever engine runs them.

What one graph hands to the next stays where the engine computed it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import names
from runtime.bundle.names import DECODER, GAZE, SCENE, VISION, VJEPA
from runtime.bundle.opening import Bundle
from runtime.engines.engine import Engine, OnnxEngine, Tensors
from runtime.engines.tensors import Tensor
from runtime.inputs.clip_layout import clip_layout, wanted_tubelets
from runtime.inputs.interpolation import interpolation_matrix
from runtime.inputs.vision_layout import vision_layout
from runtime.model.context import Context

EngineLoader = Callable[[Path], Engine]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What the resampler makes of a pair of frames before gaze enters; inputs of its gaze half."""

    outputs: dict[str, Tensor]


class Models:
    """Loads the graphs of a bundle once and runs them.

    `most_rows`: tokens that the decoder prefills in one run; None for any number.
    """

    def __init__(self, bundle: Bundle, load: EngineLoader = OnnxEngine) -> None:
        self.bundle = bundle
        self.most_rows: int | None = None
        self._vjepa, self._scene, self._gaze, self._vision, self._decoder = (
            load(bundle.graph_path(graph)) for graph in (VJEPA, SCENE, GAZE, VISION, DECODER)
        )
        engines = (self._decoder, self._vjepa, self._scene, self._gaze, self._vision)
        self.engine_name = " and ".join(dict.fromkeys(engine.name for engine in engines))
        geometry = bundle.manifest.geometry
        self._clip = geometry.vjepa
        # A few sizes and grids; kept here, so that they go with the models.
        self._clip_layout = lru_cache(maxsize=8)(clip_layout)
        self._layout = lru_cache(maxsize=8)(partial(vision_layout, geometry.vision))

    def features(self, frames: NDArray[np.uint8], steps: int) -> Tensor:
        """V-JEPA over the frames of a clip of `steps`: (n, h, w, 3) uint8 RGB, of which the last
        stands at all places that are left of 16.

        Returns the tubelets from which such a clip is read (`tubelets`): (n, side, side, d_vjepa).
        """
        inputs = {names.CLIP: frames, **self._clip_layout(self._clip, frames.shape, steps)}
        return _kept(self._vjepa, inputs, names.TUBELET_FEATURES)

    def tubelets(self, steps: int) -> NDArray[np.int64]:
        """The tubelets whose features `features` gives."""
        return wanted_tubelets(self._clip, steps)

    def scene(self, features: Tensor, step: int, steps: int, grid: tuple[int, int]) -> Scene:
        """The scene half for temporal step `step` of a clip of `steps`, on `grid` (H, W).

        `features`: of the same clip.
        """
        shape = self._clip
        weights = interpolation_matrix(steps, shape.tubelets)[step]
        inputs = {
            names.TUBELET_FEATURES: features,
            names.TUBELET_WEIGHTS: weights[self.tubelets(steps)],
            names.ROW_WEIGHTS: interpolation_matrix(grid[0], shape.side),
            names.COLUMN_WEIGHTS: interpolation_matrix(grid[1], shape.side),
        }
        outputs = (names.SCENE_TOKENS, names.SCENE_KEYS, names.SCENE_VALUES)
        return Scene(self._scene.run(inputs, keep=outputs))

    def residuals(self, scene: Scene, encoding: NDArray[np.float32]) -> Tensor:
        """The gaze half: encoding (d_latent,) -> residuals (injected, H*W, D)."""
        inputs = {**scene.outputs, names.GAZE_ENCODING: encoding}
        return _kept(self._gaze, inputs, names.RESIDUALS)

    def visual(self, pair: NDArray[np.uint8]) -> Tensor:
        """The vision tower: (2, 28H, 28W, 3) uint8 RGB -> visual embeddings (H*W, D)."""
        pixels = self.bundle.manifest.geometry.vision.token_pixels
        layout = self._layout(pair.shape[1] // pixels, pair.shape[2] // pixels)
        inputs = {names.FRAME_PAIR: pair, **layout.inputs()}
        return _kept(self._vision, inputs, names.VISUAL_EMBEDDINGS)

    def context(self, grid: tuple[int, int], capacity: int) -> Context:
        """A new context for steps of `grid` (H, W), of at most `capacity` tokens."""
        manifest, embeddings = self.bundle.manifest, self.bundle.embeddings
        return Context(self._decoder, manifest, embeddings, grid, capacity, self.most_rows)

    def in_rows(self, most: int) -> Models:
        """The same graphs, with at most so many tokens prefilled at once."""
        models = copy(self)
        models.most_rows = most
        return models

    def in_tubelets(self, most: int) -> Models:
        """The same graphs over V-JEPA clips of at most so many tubelets, in place of 8."""
        models = copy(self)
        models._clip = self._clip.shortened(most)
        return models


def _kept(engine: Engine, inputs: Tensors, output: str) -> Tensor:
    """The one output of a graph, left where it was computed."""
    return engine.run(inputs, keep=(output,))[output]
