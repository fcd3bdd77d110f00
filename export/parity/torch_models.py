"""The original checkpoints in PyTorch, behind the methods that sessions call on a bundle's graphs.

So the very code that runs the engines runs the model as released, and what compiling and
quantizing cost is a comparison of two runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.checkpoints.common import CheckpointError, sha256
from export.checkpoints.qwen import QwenCheckpoint
from export.checkpoints.vjepa import load_vjepa
from export.parity.reference import ReferenceModel, ReferenceStep
from runtime.bundle.opening import Bundle
from runtime.errors import QuestionError
from runtime.inputs.clip_layout import frame_order


@dataclass(frozen=True, slots=True, eq=False)
class TorchScene:
    """What is kept of a pair of frames: PyTorch computes the residuals in one go."""

    features: torch.Tensor
    step: int
    steps: int
    grid: tuple[int, int]


class TorchModels:
    """Stands where `runtime.model.models.Models` stands.

    The bundle gives prompt, settings and sizes.
    """

    def __init__(self, bundle: Bundle, reference: ReferenceModel) -> None:
        self.bundle = bundle
        self.engine_name = f"torch {torch.__version__} with hooks"
        self._reference = reference

    @classmethod
    def load(
        cls,
        bundle: Bundle,
        qwen: Path,
        vjepa: Path,
        gaze: Path,
        dtype: torch.dtype = torch.float32,
    ) -> TorchModels:
        """Read the checkpoints that `bundle` was made from. Raises CheckpointError for others.

        `dtype`: as in `ReferenceModel.load`.
        """
        _check_origin(bundle, qwen, vjepa, gaze)
        shape = bundle.manifest.geometry.vjepa
        if load_vjepa(vjepa, shape.pixels).geometry.side != shape.side:
            patch = shape.pixels // shape.side
            raise CheckpointError(f"{vjepa}: its patches are not of {patch} pixels")
        layers = bundle.manifest.provenance.injection.layers
        reference = ReferenceModel.load(qwen, vjepa, shape.pixels, gaze, layers, dtype)
        return cls(bundle, reference)

    def features(self, frames: NDArray[np.uint8], steps: int) -> torch.Tensor:
        """V-JEPA over (n, h, w, 3) uint8 RGB, the last of them at all places that are left of 16.

        All its tubelets, however many `steps` the clip has: (tubelets, side, side, d_vjepa).
        """
        order = frame_order(self.bundle.manifest.geometry.vjepa, len(frames))
        return self._reference.features(torch.from_numpy(frames[order]))

    def scene(
        self, features: torch.Tensor, step: int, steps: int, grid: tuple[int, int]
    ) -> TorchScene:
        """Temporal step `step` of a clip of `steps`, on `grid` (H, W)."""
        return TorchScene(features, step, steps, grid)

    def residuals(self, scene: TorchScene, encoding: NDArray[np.float32]) -> torch.Tensor:
        """Encoding (d_latent,) -> residuals of all modules, the dead one too (modules, H*W, D)."""
        return self._reference.residuals(
            scene.features, scene.step, scene.steps, scene.grid, torch.from_numpy(encoding)
        )

    def visual(self, pair: NDArray[np.uint8]) -> torch.Tensor:
        """The vision tower: (2, 28H, 28W, 3) uint8 RGB -> visual embeddings (H*W, D)."""
        return self._reference.visual(torch.from_numpy(pair))

    def context(self, grid: tuple[int, int], capacity: int) -> TorchContext:
        """A new context for steps of `grid` (H, W), of at most `capacity` tokens."""
        before = self.bundle.manifest.prompt.before_video
        return TorchContext(self._reference, before, grid, capacity)


@dataclass(frozen=True, slots=True)
class TorchMark:
    """A state of a context to which it can be rewound."""

    steps: int
    text: int


class TorchContext:
    """One clip, without a cache: whenever logits are wanted, the whole prompt is prefilled."""

    saves_runs = False

    def __init__(
        self,
        reference: ReferenceModel,
        before: Sequence[int],
        grid: tuple[int, int],
        capacity: int,
    ) -> None:
        """`before`: the tokens before the video."""
        self._reference = reference
        self._before = tuple(before)
        self._grid = grid
        self._capacity = capacity
        self._steps: list[ReferenceStep] = []
        self._text: list[int] = []

    @property
    def steps(self) -> int:
        """Temporal steps it holds."""
        return len(self._steps)

    @property
    def room(self) -> int:
        """Tokens that still fit."""
        step = self._grid[0] * self._grid[1]
        return self._capacity - len(self._before) - len(self._steps) * step - len(self._text)

    def mark(self) -> TorchMark:
        """The present state, to rewind to."""
        return TorchMark(len(self._steps), len(self._text))

    def rewind(self, mark: TorchMark) -> None:
        """Forget everything appended since `mark` was taken."""
        del self._steps[mark.steps :]
        del self._text[mark.text :]

    def clear(self) -> None:
        """Forget every step."""
        self.rewind(TorchMark(0, 0))

    def append_step(self, visual: torch.Tensor, residuals: torch.Tensor | None) -> None:
        """Add one step: `visual` (H*W, D), `residuals` (modules, H*W, D) or None for zero."""
        self._check_room(visual.shape[0])
        self._steps.append(ReferenceStep(visual, residuals, self._grid))

    defer_step = append_step

    def append_text(self, tokens: NDArray[np.int64], wanted: bool = True) -> NDArray[np.float32]:
        """Add text tokens; returns the logits after the last one: (vocabulary,).

        With `wanted` False nothing is computed and the result is empty.
        """
        self._check_room(len(tokens))
        self._text += tokens.tolist()
        if not wanted:
            return np.zeros(0, np.float32)
        return self._reference.logits(self._before, self._steps, self._text).numpy()

    def _check_room(self, tokens: int) -> None:
        if tokens > self.room:
            raise QuestionError(
                f"{tokens} more tokens do not fit in the context "
                f"({self._capacity - self.room} of {self._capacity} are taken): "
                "ask a shorter question"
            )


def _check_origin(bundle: Bundle, qwen: Path, vjepa: Path, gaze: Path) -> None:
    """See that the checkpoints are those whose hashes the bundle carries."""
    hashes = bundle.manifest.provenance.checkpoints
    found = {f"qwen/{name}": digest for name, digest in QwenCheckpoint.open(qwen).hashes().items()}
    found |= {"vjepa": sha256(vjepa), "gaze": sha256(gaze)}
    for name, path in (("gaze", gaze), ("vjepa", vjepa)):
        if hashes.get(name) != found[name]:
            raise CheckpointError(f"{path}: {bundle.folder} was not made from this file")
    if any(digest != found.get(name) for name, digest in hashes.items()):
        raise CheckpointError(f"{qwen}: {bundle.folder} was not made from these files")
