"""The released way of answering: 8 frames of the window, all encoded anew at each question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime.answers.questions import Asker, Question
from runtime.model.models import Models
from runtime.stopwatch import Stopwatch
from runtime.stream.sampling import FRAMES_PER_STEP, MOST_FRAMES, vjepa_indices

if TYPE_CHECKING:
    from export.parity.torch_models import TorchModels

VJEPA, VISION, RESAMPLER, PREFILL = "V-JEPA", "vision", "resampler", "prefill, all of it"


class ReleasedWay:
    """A clip of noise on a grid of tokens (H, W), asked about as the released code does it.

    `models`: the released code's own, in PyTorch with hooks, or ours.
    """

    def __init__(self, models: Models | TorchModels, grid: tuple[int, int]) -> None:
        geometry = models.bundle.manifest.geometry
        self._models, self._grid = models, grid
        self._asker = Asker(models.bundle, marks=True)
        self._encoding = np.ones(geometry.resampler.width, np.float32)
        pixels = geometry.vision.token_pixels
        shape = (MOST_FRAMES, grid[0] * pixels, grid[1] * pixels, 3)
        self._frames = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
        self._seen = vjepa_indices(MOST_FRAMES, geometry.vjepa.frames)

    def ask(self, question: Question, watch: Stopwatch) -> NDArray[np.float32]:
        """The logits (vocabulary,) of the first token of the answer."""
        models, grid, count = self._models, self._grid, MOST_FRAMES // FRAMES_PER_STEP
        with watch.stage(VJEPA):
            features = models.features(np.ascontiguousarray(self._frames[self._seen]), count)
        encoded = []
        for step in range(count):
            with watch.stage(VISION):
                pair = self._frames[FRAMES_PER_STEP * step :][:FRAMES_PER_STEP]
                visual = models.visual(np.ascontiguousarray(pair))
            with watch.stage(RESAMPLER):
                scene = models.scene(features, step, count, grid)
                encoded.append((visual, models.residuals(scene, self._encoding)))
        tokens = self._asker.tokens(question)
        before = len(models.bundle.manifest.prompt.before_video)
        with watch.stage(PREFILL):
            context = models.context(grid, before + count * grid[0] * grid[1] + len(tokens))
            for step in encoded:
                context.append_step(*step)
            return context.append_text(tokens)
