"""Whether a device computes what PyTorch did: every graph over the bundle's reference vectors.

A provider can compute wrong without an error, and does: it is believed for what it gave.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runtime.bundle import manifest as names
from runtime.bundle import vectors as kept
from runtime.bundle.vectors import ReferenceVectors, Sample
from runtime.engines.tensors import Tensor, on_host
from runtime.errors import NotFiniteError
from runtime.model.models import Models


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an engine may be off beyond the bundle's bounds, of the root mean square of an output.

    `encoders`: what it computes itself; `following`: what rests on that. `odd_grid`: whether it
    takes frames of another size than the live one.
    """

    encoders: float = 0.0
    following: float = 0.0
    odd_grid: bool = True


EXACT = Allowance()


@dataclass(frozen=True, slots=True)
class ProofFigure:
    """One comparison: the largest difference, infinite where no number was computed."""

    graph: str
    case: str
    difference: float
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the difference is within the bound."""
        return self.difference <= self.bound

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.graph}: {self.case} off by {self.difference:.1e}, {self.bound:.1e} allowed"


def prove(
    models: Models, vectors: ReferenceVectors, allowance: Allowance = EXACT
) -> Iterator[ProofFigure]:
    """Run every graph; figures in the order in which one graph feeds the next."""
    shape = models.bundle.manifest.geometry.vjepa
    clip = np.stack([vectors.live[0]] + [vectors.live[1]] * (shape.frames - 1))
    features = models.features(clip)
    check = _Check(vectors, allowance.encoders)
    yield check(names.VJEPA, kept.FEATURES, features)
    yield check(names.VISION, kept.LIVE, models.visual(vectors.live))
    if allowance.odd_grid:
        yield check(names.VISION, kept.ODD, models.visual(vectors.odd))
    check = _Check(vectors, allowance.following)
    settings = models.bundle.manifest.settings
    scene = models.scene(features, 0, 1, (settings.live_height, settings.live_width))
    for output, case in (
        (names.SCENE_TOKENS, kept.TOKENS),
        (names.SCENE_KEYS, kept.KEYS),
        (names.SCENE_VALUES, kept.VALUES),
    ):
        yield check(names.SCENE, case, scene.outputs[output])
    for encoding, case in (
        (vectors.encoding, kept.GAZED),
        (np.zeros_like(vectors.encoding), kept.RESTING),
    ):
        yield check(names.GAZE, case, models.residuals(scene, encoding))
    yield from prove_decoder(models, vectors)


def prove_decoder(models: Models, vectors: ReferenceVectors) -> Iterator[ProofFigure]:
    """Steps prefilled with gaze and without, text prefilled, then token by token; and all that is
    prefilled in one run: of more rows than some kernels compute right."""
    check = _Check(vectors, 0.0)
    steps, text = vectors.steps(), vectors.text
    tokens = sum(len(visual) for visual, _ in steps) + len(text)
    room = len(models.bundle.manifest.prompt.before_video) + tokens + kept.SPARE_TOKENS
    try:
        context = models.context(kept.ODD_GRID, room)
        for visual, residuals in steps:
            context.append_step(visual, residuals)
        prefilled = context.append_text(text[: kept.TEXT_TOKENS])
        yield check(names.DECODER, kept.PREFILL, prefilled)
        decoded = [context.append_text(token) for token in text[kept.TEXT_TOKENS :, None]]
        yield check(names.DECODER, kept.DECODE, np.concatenate(decoded))
        context.clear()
        at_once = context.append_at_once(steps, text[: kept.TEXT_TOKENS])
        yield check(names.DECODER, kept.AT_ONCE, at_once, kept.PREFILL)
    except NotFiniteError:
        bound = vectors.samples[kept.DECODE].bound
        yield ProofFigure(names.DECODER, "logits that are no numbers", float("inf"), bound)


@dataclass(frozen=True, slots=True)
class _Check:
    """Compares outputs with the vectors' samples."""

    vectors: ReferenceVectors
    relative: float

    def __call__(
        self, graph: str, case: str, output: Tensor, sealed: str | None = None
    ) -> ProofFigure:
        """`sealed`: the case with which it is compared, its own if None."""
        sample: Sample = self.vectors.samples[sealed or case]
        difference = sample.difference(on_host(output))
        return ProofFigure(graph, case, difference, sample.allowed(self.relative))
