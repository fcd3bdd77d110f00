"""The released way of answering, in PyTorch: 8 frames, all encoded at the question."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.parity.reference import ReferenceModel, ReferenceStep
from runtime.answers.questions import Asker, Question
from runtime.bundle.opening import Bundle
from runtime.stream.sampling import FRAMES_PER_STEP, MOST_FRAMES, vjepa_indices

MILLISECOND = 1_000_000


class ReleasedInTorch:
    """The checkpoints of a bundle in PyTorch, and a clip of noise on a grid of tokens (H, W)."""

    def __init__(
        self, checkpoints: Path, bundle: Bundle, grid: tuple[int, int], question: Question
    ) -> None:
        """`checkpoints` holds `qwen`, `vjepa.pt` and `gazeqwen.pt`, as a random export leaves them.

        Raises RuntimeFault for checkpoints that can't be read.
        """
        geometry = bundle.manifest.geometry
        self._model = ReferenceModel.load(
            checkpoints / "qwen",
            checkpoints / "vjepa.pt",
            geometry.vjepa.pixels,
            checkpoints / "gazeqwen.pt",
            bundle.manifest.provenance.injection.layers,
        )
        self._grid = grid
        self._before = bundle.manifest.prompt.before_video
        self._after = Asker(bundle, marks=True).tokens(question).tolist()
        self._encoding = torch.ones(geometry.resampler.width)
        pixels = geometry.vision.token_pixels
        shape = (MOST_FRAMES, grid[0] * pixels, grid[1] * pixels, 3)
        self._frames = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
        self._seen = vjepa_indices(MOST_FRAMES, geometry.vjepa.frames)

    def first_token_ms(self) -> float:
        """Milliseconds from the question to the logits of its first token."""
        began = time.perf_counter_ns()
        features = self._model.features(_tensor(self._frames[self._seen]))
        count = MOST_FRAMES // FRAMES_PER_STEP
        steps = [
            ReferenceStep(
                self._model.visual(_tensor(self._frames[FRAMES_PER_STEP * step :][:2])),
                self._model.residuals(features, step, count, self._grid, self._encoding),
                self._grid,
            )
            for step in range(count)
        ]
        self._model.logits(self._before, steps, self._after)
        return (time.perf_counter_ns() - began) / MILLISECOND


def _tensor(frames: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(frames))
