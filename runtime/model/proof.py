"""Whether a device computes what PyTorch did: every graph over the bundle's reference vectors.

A provider can compute wrong without an error, and does: it is believed for what it gave.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from math import prod

import numpy as np

from runtime.bundle import names
from runtime.bundle import vectors as kept
from runtime.bundle.vectors import ReferenceVectors, Sample
from runtime.engines.tensors import Tensor, on_host
from runtime.errors import NotFiniteError
from runtime.model.context import Context
from runtime.model.models import Models

STEP_ROWS = prod(kept.ODD_GRID)
ROWS_AT_ONCE = 2 * STEP_ROWS + kept.TEXT_TOKENS  # two steps and text


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an engine may be off beyond the bundle's bounds, of the root mean square of an output.

    `encoders`: what it computes itself; `following`: what rests on that. `odd_grid`: whether it
    takes frames of another size than the live one. `brief`: whether a short clip stands for a whole
    one and one run for all that is prefilled: on a CPU, which computes both by the same kernels,
    and a large model's clip for many seconds.
    """

    encoders: float = 0.0
    following: float = 0.0
    odd_grid: bool = True
    brief: bool = False


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
    seen, of_clip = models, str
    if allowance.brief:
        seen, of_clip = models.in_tubelets(kept.SHORT_CLIP), kept.of_short_clip
    features = seen.features(vectors.live, 1)
    check = _Check(vectors, allowance.encoders)
    yield check(names.VJEPA, of_clip(kept.FEATURES), features)
    yield check(names.VISION, kept.LIVE, models.visual(vectors.live))
    if allowance.odd_grid:
        yield check(names.VISION, kept.ODD, models.visual(vectors.odd))
    check = _Check(vectors, allowance.following)
    settings = models.bundle.manifest.settings
    scene = seen.scene(features, 0, 1, (settings.live_height, settings.live_width))
    for output, case in (
        (names.SCENE_TOKENS, kept.TOKENS),
        (names.SCENE_KEYS, kept.KEYS),
        (names.SCENE_VALUES, kept.VALUES),
    ):
        yield check(names.SCENE, of_clip(case), scene.outputs[output])
    for encoding, case in (
        (vectors.encoding, kept.GAZED),
        (np.zeros_like(vectors.encoding), kept.RESTING),
    ):
        yield check(names.GAZE, of_clip(case), models.residuals(scene, encoding))
    yield from prove_decoder(models, vectors, allowance.brief)


def prove_decoder(
    models: Models, vectors: ReferenceVectors, brief: bool = False
) -> Iterator[ProofFigure]:
    """A step with gaze; two steps, with gaze that rests and without any, and text behind them in
    one run (all three, if `brief`); then token by token. Every row is computed once. On a device
    that takes a step into two contexts in one run, the second context as well; on one that takes
    runs of at most so many rows, a run of as many.
    """
    try:
        yield from _decoded(models, vectors, brief)
        if (most := models.most_rows) is not None and most > ROWS_AT_ONCE:
            yield _many_rows(models, vectors, most)
    except NotFiniteError:
        bound = vectors.samples[kept.DECODE].bound
        yield ProofFigure(names.DECODER, "logits that are no numbers", float("inf"), bound)


def _decoded(models: Models, vectors: ReferenceVectors, brief: bool) -> Iterator[ProofFigure]:
    """What was sealed; and in a second context, filled beside the first, what it gives there."""
    check = _Check(vectors, 0.0)
    steps, text = vectors.steps(), vectors.text
    question, following = text[: kept.TEXT_TOKENS], text[kept.TEXT_TOKENS :]
    tokens = len(steps) * STEP_ROWS + len(text)
    context, beside = _context(models, tokens), None
    first, *others = steps
    if context.saves_runs:
        beside = _context(models, tokens)
        context.append_step_beside(beside, *first)
    elif brief:
        others = steps
    else:
        context.append_step(*first)
    yield check(names.DECODER, kept.PREFILL, context.append_at_once(others, question))
    decoded = [context.append_text(token) for token in following[:, None]]
    yield check(names.DECODER, kept.DECODE, np.concatenate(decoded))
    if beside is not None:
        for step in others:
            beside.defer_step(*step)
        yield check(names.DECODER, kept.BESIDE, beside.append_text(question), kept.PREFILL)


def _many_rows(models: Models, vectors: ReferenceVectors, rows: int) -> ProofFigure:
    """So many rows in one run, against the same in runs of as many as were shown to be right."""
    text = np.resize(vectors.text, rows % STEP_ROWS + STEP_ROWS)
    steps = list(islice(cycle(vectors.steps()), (rows - len(text)) // STEP_ROWS))
    at_once, in_pieces = (
        _context(some, rows).append_at_once(steps, text)
        for some in (models, models.in_rows(ROWS_AT_ONCE))
    )
    difference = float(np.abs(at_once - in_pieces).max())
    return ProofFigure(names.DECODER, kept.MANY, difference, vectors.samples[kept.PREFILL].bound)


def _context(models: Models, tokens: int) -> Context:
    """With room for so many tokens behind the start of the prompt."""
    start = len(models.bundle.manifest.prompt.before_video)
    return models.context(kept.ODD_GRID, start + tokens + kept.SPARE_TOKENS)


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
