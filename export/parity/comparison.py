"""The graphs of a new bundle against PyTorch, in the order in which they can fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from export.graphs.precision.narrowing import cpu_engine
from export.graphs.weights import RoundedWeights
from export.parity.cut_down import LAYERS, CutDownCase, check_cut_down, cut_down_case
from export.parity.graphs import (
    BriefEngine,
    GraphCase,
    check_decoder,
    check_graphs,
    graph_cases,
)
from export.parity.layers import check_layers
from export.parity.reading.oracle import Oracle, OurReading
from export.parity.reading.transformers_reading import TransformersReading
from export.parity.reference import ReferenceModel
from export.parity.rounding import narrow_cases, rounding_figures
from export.parity.sealing import seal, sealed_figures
from runtime.bundle.manifest import ParityFigure
from runtime.bundle.opening import Bundle
from runtime.model.models import Models


def compare_whole(
    bundle: Bundle,
    ours: OurReading,
    oracle: Oracle,
    rounded: RoundedWeights,
    gaze: Path,
) -> Iterator[ParityFigure]:
    """The decoder as a whole, all graphs at once.

    What rounding costs is no part of it: the last comparison is over the weights as `rounded`.
    """
    models = Models(bundle, cpu_engine)
    layers = oracle.gaze.geometry.injected_layers
    whole = ReferenceModel.load(oracle.folder, oracle.encoder_file, oracle.pixels, gaze, layers)
    cases = graph_cases(models, whole)
    clip = cut_down_case(models, whole, cases[-1])
    if bundle.manifest.rounds_encoders:
        exact, cases = cases, narrow_cases(models, whole, whole.resampler)
        yield from rounding_figures(bundle.manifest, exact, cases)
    yield from check_graphs(models, cases)
    first = TransformersReading.of(oracle.folder, LAYERS)
    yield from check_cut_down(models, clip, ours.weights, ours.qwen.decoder, first, oracle.gaze)
    if rounded.changes:
        whole.replace_decoder(rounded.tensor)
    yield from check_decoder(models, whole)
    vectors = seal(bundle, cases, ours, oracle.reading, rounded)
    yield from sealed_figures(models, vectors)


def compare_by_layers(
    bundle: Bundle, ours: OurReading, oracle: Oracle, rounded: RoundedWeights
) -> Iterator[ParityFigure]:
    """The same for models that do not fit: layer by layer, one graph at a time."""
    models = Models(bundle, load=BriefEngine)
    first = TransformersReading.of(oracle.folder, LAYERS)
    cases, clip = _cases(models, oracle, first)
    if bundle.manifest.rounds_encoders:
        again = ReferenceModel(first.model, oracle.encoder(), oracle.gaze, oracle.pictures)
        exact, cases = cases, narrow_cases(models, again, oracle.gaze)
        del again
        yield from rounding_figures(bundle.manifest, exact, cases)
    first.model.model.visual = None  # two towers in float32 are five gigabytes
    yield from check_graphs(models, cases)
    yield from check_cut_down(models, clip, ours.weights, ours.qwen.decoder, first, oracle.gaze)
    del first
    yield from check_layers(bundle, rounded, oracle.reading.model.config.get_text_config())
    seal(bundle, cases, ours, oracle.reading, rounded)


def _cases(
    models: Models, oracle: Oracle, first: TransformersReading
) -> tuple[list[GraphCase], CutDownCase]:
    """What PyTorch makes of the clips without a decoder.

    Its encoder is gone before the tower of `first` is filled.
    """
    reference = ReferenceModel(first.model, oracle.encoder(), oracle.gaze, oracle.pictures)

    def seen() -> None:
        reference.vjepa = None
        first.fill(first.model.model.visual, "model.visual.")

    cases = graph_cases(models, reference, seen)
    return cases, cut_down_case(models, reference, cases[-1])
