"""Compares the graphs of a new bundle with PyTorch and hooks, on random clips.

Every export runs it: zero residual must be the plain model, a residual must change the logits (an
injection that is silently lost looks like a working model), the last layer's residual must not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray

from export.graphs.precision.narrowing import cpu_engine
from export.parity.reference import ReferenceModel, ReferenceStep
from export.parity.tolerances import LEAST_CHANGE, decoder_tolerance, encoder_figure, figure
from runtime.bundle import names
from runtime.bundle.manifest import TUBELET_FRAMES, ParityFigure
from runtime.bundle.vectors import SHORT_CLIP
from runtime.engines.engine import OnnxEngine, Tensors
from runtime.engines.tensors import DeviceTensor
from runtime.model.models import Models

LOGITS_CASE = "logits, with gaze"


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A random clip: uint8 frames (16 or fewer, h, w, 3); per step a gaze encoding, or None for no
    rows."""

    frames: NDArray[np.uint8]
    encodings: tuple[NDArray[np.float32] | None, ...]
    grid: tuple[int, int]
    text: tuple[int, ...]

    @property
    def steps(self) -> int:
        """Temporal steps of the clip."""
        return len(self.encodings)

    @property
    def tubelets(self) -> int:
        """What V-JEPA makes of its frames."""
        return len(self.frames) // TUBELET_FRAMES

    def pair(self, step: int) -> NDArray[np.uint8]:
        """The two frames of a step."""
        return self.frames[2 * step : 2 * step + 2]


@dataclass(frozen=True, slots=True, eq=False)
class GraphCase:
    """A step of a clip, gaze encodings by what they stand for, and PyTorch's outputs for them."""

    name: str
    clip: Clip
    step: int
    gazes: dict[str, NDArray[np.float32]]
    features: NDArray[np.float32]
    visual: NDArray[np.float32]
    residuals: dict[str, NDArray[np.float32]]


class BriefEngine:
    """A graph that is loaded for each run and then forgotten, where not all fit in memory."""

    name = "onnxruntime, one graph at a time"

    def __init__(self, path: Path) -> None:
        self._path = path

    def run(
        self,
        inputs: Tensors,
        into: Mapping[str, DeviceTensor] | None = None,
        keep: Collection[str] = (),
    ) -> dict[str, Any]:
        """Load, run, forget; see `runtime.engines.engine.Engine`."""
        outputs = cpu_engine(self._path).run(inputs, into, keep)
        # They lie in the engine's memory, all of which stays for as long as they do.
        return {name: output.copy() for name, output in outputs.items()}

    def buffer(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceTensor:
        """Allocate a zeroed buffer; see `runtime.engines.engine.Engine`."""
        return OnnxEngine(self._path).buffer(shape, dtype)


def random_clip(
    models: Models, seed: int, grid: tuple[int, int], encodings: Sequence[NDArray | None]
) -> Clip:
    """Frames of coloured noise with structure of several sizes, and random text."""
    rng = np.random.default_rng(seed)
    manifest = models.bundle.manifest
    pixels = manifest.geometry.vision.token_pixels
    height, width = grid[0] * pixels, grid[1] * pixels
    frames = np.zeros((manifest.geometry.vjepa.frames, height, width, 3), np.float32)
    for block in (pixels, 7, 1):
        shape = (len(frames), -(-height // block), -(-width // block), 3)
        coarse = rng.uniform(0, 85, shape).repeat(block, axis=1).repeat(block, axis=2)
        frames += coarse[:, :height, :width]
    text = rng.integers(0, min(256, manifest.geometry.decoder.vocabulary), 12)
    return Clip(
        frames.astype(np.uint8), tuple(encodings), grid, tuple(int(token) for token in text)
    )


def random_encoding(models: Models, seed: int) -> NDArray[np.float32]:
    """An encoding of the right width, of the size that real ones have."""
    width = models.bundle.manifest.geometry.resampler.width
    return np.random.default_rng(seed).uniform(-1, 1, width).astype(np.float32)


def graph_cases(
    models: Models, reference: ReferenceModel, seen: Callable[[], None] = lambda: None
) -> list[GraphCase]:
    """Clips at the live grid, whole and short, and at a ragged one, and what PyTorch makes of them.

    `seen` is called when the encoder has seen every clip and is not needed any more, and before the
    vision tower is.
    """
    settings = models.bundle.manifest.settings
    live = (settings.live_height, settings.live_width)
    clips = []
    for name, grid, step, steps in (("live grid", live, 0, 1), ("grid 3 x 5", (3, 5), 1, 3)):
        encodings = [random_encoding(models, seed) for seed in range(steps)]
        clip = random_clip(models, seed=steps, grid=grid, encodings=encodings)
        if steps == 1:  # as the live loop gives it, so that two frames tell it all
            clip.frames[2:] = clip.frames[1]
        clips.append((name, clip, step))
        if steps == 1:
            short = replace(clip, frames=clip.frames[: TUBELET_FRAMES * SHORT_CLIP])
            clips.append((f"{name}, short clip", short, step))
    features = [reference.features(torch.from_numpy(clip.frames)) for _, clip, _ in clips]
    seen()
    rows = _kept_modules(models, reference)
    return [
        _graph_case(reference, rows, *clip, found)
        for clip, found in zip(clips, features, strict=True)
    ]


def _graph_case(
    reference: ReferenceModel,
    rows: list[int],
    name: str,
    clip: Clip,
    step: int,
    features: torch.Tensor,
) -> GraphCase:
    encoding = clip.encodings[step]
    assert encoding is not None
    gazes = {"gaze": encoding, "no active fixation": np.zeros_like(encoding)}
    residuals = {
        gaze: reference.residuals(features, step, clip.steps, clip.grid, torch.from_numpy(values))
        for gaze, values in gazes.items()
    }
    visual = reference.visual(torch.from_numpy(clip.pair(step)))
    kept = {gaze: values[rows].numpy() for gaze, values in residuals.items()}
    return GraphCase(name, clip, step, gazes, features.numpy(), visual.numpy(), kept)


def check_graphs(models: Models, cases: Sequence[GraphCase]) -> Iterator[ParityFigure]:
    """vjepa, vision and both halves of the resampler."""
    for case in cases:
        clip, step = case.clip, case.step
        seen = models.in_tubelets(clip.tubelets)
        features = seen.features(clip.frames, clip.steps)
        manifest, told = models.bundle.manifest, f"features, {case.name}"
        expected = case.features[seen.tubelets(clip.steps)]
        yield encoder_figure(manifest, names.VJEPA, told, features, expected)
        visual = models.visual(clip.pair(step))
        told = f"visual embeddings, {case.name}"
        yield encoder_figure(manifest, names.VISION, told, visual, case.visual)
        scene = seen.scene(features, step, clip.steps, clip.grid)
        for gaze, encoding in case.gazes.items():
            residuals = models.residuals(scene, encoding)
            told = f"residuals, {gaze}, {case.name}"
            yield encoder_figure(manifest, names.GAZE, told, residuals, case.residuals[gaze])


def check_decoder(models: Models, reference: ReferenceModel) -> Iterator[ParityFigure]:
    """The logits after a clip of two steps: zero residual, gaze, and the last layer's residual.

    `reference`: over the weights as the decoder holds them.
    """
    tolerance = decoder_tolerance(models.bundle.manifest)
    settings = models.bundle.manifest.settings
    grid = (settings.live_height, settings.live_width)
    clip = random_clip(models, 7, grid, [random_encoding(models, 8), random_encoding(models, 9)])
    steps = reference_steps(reference, clip)
    plain = reference_logits(models, reference, clip, [replace(s, residuals=None) for s in steps])
    gazed = reference_logits(models, reference, clip, steps)
    rows = _kept_modules(models, reference)
    if models.bundle.manifest.rounds_encoders:  # they are compared apart
        without_gaze = _given_logits(models, clip, steps, None)
        with_gaze = _given_logits(models, clip, steps, rows)
    else:
        without_gaze = engine_logits(models, replace(clip, encodings=(None, None)))
        with_gaze = engine_logits(models, clip)
    yield figure(names.DECODER, "logits, zero residual", without_gaze, plain, tolerance)
    yield figure(names.DECODER, LOGITS_CASE, with_gaze, gazed, tolerance)
    change = float(np.abs(with_gaze - without_gaze).max())
    yield ParityFigure(
        names.DECODER, "a residual changes the logits", change, LEAST_CHANGE, must_change=True
    )
    if len(rows) == len(reference.resampler.geometry.injected_layers):
        return  # none stands at the last layer
    pruned = [_without_pruned(step, rows) for step in steps]
    unchanged = reference_logits(models, reference, clip, pruned)
    dead = float(np.abs(unchanged - gazed).max())
    yield ParityFigure(names.DECODER, "the last layer's residual changes nothing", dead, 0.0)


def reference_steps(reference: ReferenceModel, clip: Clip) -> list[ReferenceStep]:
    """The clip's steps, encoded by PyTorch."""
    features = reference.features(torch.from_numpy(clip.frames))
    return [
        ReferenceStep(
            reference.visual(torch.from_numpy(clip.pair(step))),
            None
            if encoding is None
            else reference.residuals(
                features, step, clip.steps, clip.grid, torch.from_numpy(encoding)
            ),
            clip.grid,
        )
        for step, encoding in enumerate(clip.encodings)
    ]


def reference_logits(
    models: Models, reference: ReferenceModel, clip: Clip, steps: Sequence[ReferenceStep]
) -> NDArray[np.float32]:
    """One prefill in PyTorch, hooks in place: (vocabulary,)."""
    before = models.bundle.manifest.prompt.before_video
    return reference.logits(before, steps, clip.text).numpy()


def engine_logits(models: Models, clip: Clip) -> NDArray[np.float32]:
    """The same clip step by step through the exported graphs: (vocabulary,)."""
    tokens = clip.grid[0] * clip.grid[1] * clip.steps
    room = tokens + len(clip.text) + len(models.bundle.manifest.prompt.before_video)
    context = models.context(clip.grid, room)
    features = models.features(clip.frames, clip.steps)
    for step, encoding in enumerate(clip.encodings):
        residuals = None
        if encoding is not None:
            scene = models.scene(features, step, clip.steps, clip.grid)
            residuals = models.residuals(scene, encoding)
        context.append_step(models.visual(clip.pair(step)), residuals)
    return context.append_text(np.array(clip.text))


def _given_logits(
    models: Models, clip: Clip, steps: Sequence[ReferenceStep], rows: list[int] | None
) -> NDArray[np.float32]:
    """The exported decoder over steps that PyTorch encoded; `rows`: the modules it takes."""
    tokens = clip.grid[0] * clip.grid[1] * clip.steps
    room = tokens + len(clip.text) + len(models.bundle.manifest.prompt.before_video)
    context = models.context(clip.grid, room)
    for step in steps:
        residuals = None
        if rows is not None and step.residuals is not None:
            residuals = step.residuals[rows].numpy()
        context.append_step(step.visual.numpy(), residuals)
    return context.append_text(np.array(clip.text))


def _kept_modules(models: Models, reference: ReferenceModel) -> list[int]:
    """The modules of the resampler whose residuals the bundle has."""
    kept = models.bundle.manifest.geometry.resampler.injected_layers
    layers = reference.resampler.geometry.injected_layers
    return [module for module, layer in enumerate(layers) if layer in kept]


def _without_pruned(step: ReferenceStep, kept: list[int]) -> ReferenceStep:
    assert step.residuals is not None
    residuals = torch.zeros_like(step.residuals)
    residuals[kept] = step.residuals[kept]
    return replace(step, residuals=residuals)
