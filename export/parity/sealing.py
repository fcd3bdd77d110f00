"""Makes the reference vectors of a bundle: PyTorch's outputs for a small input of every graph.

They are what a device is asked before it is believed (`runtime.model.proof`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export import files
from export.graphs.weights import RoundedWeights
from export.modules.resampler import GazeResampler, SceneHalf
from export.parity.graphs import GraphCase
from export.parity.reading.oracle import OurReading
from export.parity.reading.positions import video_positions
from export.parity.reading.transformers_reading import TransformersReading
from export.parity.tolerances import DEVICE_SLACK, device_tolerance, encoder_figure, figure
from export.parity.torch_decoder import TorchDecoder
from runtime.bundle import names
from runtime.bundle import vectors as kept
from runtime.bundle.manifest import Manifest, ParityFigure
from runtime.bundle.opening import Bundle
from runtime.bundle.vectors import ReferenceVectors, Sample
from runtime.inputs.clip_layout import wanted_tubelets
from runtime.inputs.interpolation import interpolation_matrix
from runtime.model.models import Models
from runtime.model.proof import prove_decoder

RESTING = "no active fixation"
SCENE_OUTPUTS = (kept.TOKENS, kept.KEYS, kept.VALUES)


def seal(
    bundle: Bundle,
    cases: Sequence[GraphCase],
    ours: OurReading,
    reading: TransformersReading,
    rounded: RoundedWeights,
) -> ReferenceVectors:
    """Write `vectors.npz` from the three of `graph_cases`: at the live grid, a whole clip and a
    short one, and at another grid.

    `cases`: as PyTorch computes them over the encoders as they are stored. `ours`: only the
    resampler's scene half is taken of it, which is no part of what was released.
    """
    manifest = bundle.manifest
    live, short, odd = cases
    visual = odd.visual.astype(np.float16)
    gazed = odd.residuals["gaze"].astype(np.float16)
    resting = odd.residuals[RESTING].astype(np.float16)
    count = kept.TEXT_TOKENS + kept.DECODED_TOKENS
    text = np.array(odd.clip.text[:count], np.int64)
    given = ReferenceVectors(
        live.clip.pair(live.step),
        odd.clip.pair(odd.step),
        live.gazes["gaze"],
        visual,
        gazed,
        resting,
        text,
        {},
    )
    logits = _logits(manifest, given, reading, rounded)
    visual_outputs = {
        kept.LIVE: (names.VISION, live.visual),
        kept.ODD: (names.VISION, odd.visual),
    }
    of_short_clip = _clip_samples(manifest, short, ours.resampler)
    samples = {
        **_samples(manifest, visual_outputs),
        **_clip_samples(manifest, live, ours.resampler),
        **{kept.of_short_clip(name): sample for name, sample in of_short_clip.items()},
        kept.PREFILL: _logits_sample(manifest, logits[:1]),
        kept.DECODE: _logits_sample(manifest, logits[1:]),
    }
    given.samples.update(samples)
    files.write(bundle.folder / names.VECTORS_FILE, kept.encoded_vectors(given))
    return given


def sealed_figures(models: Models, vectors: ReferenceVectors) -> Iterator[ParityFigure]:
    """Whether the emitted decoder as a whole gives what was sealed."""
    for found in prove_decoder(models, vectors):
        case = f"reference vectors: {found.case}"
        yield ParityFigure(found.graph, case, found.difference, found.bound)


def _clip_samples(
    manifest: Manifest, case: GraphCase, resampler: GazeResampler
) -> dict[str, Sample]:
    """What rests on V-JEPA's clip."""
    read = wanted_tubelets(manifest.geometry.vjepa.shortened(case.clip.tubelets), case.clip.steps)
    layers = manifest.geometry.resampler.injected_layers
    scene = zip(SCENE_OUTPUTS, _scene(resampler, layers, case), strict=True)
    outputs = {
        kept.FEATURES: (names.VJEPA, case.features[read]),
        kept.GAZED: (names.GAZE, case.residuals["gaze"]),
        kept.RESTING: (names.GAZE, case.residuals[RESTING]),
        **{name: (names.SCENE, output) for name, output in scene},
    }
    return _samples(manifest, outputs)


def _samples(
    manifest: Manifest, outputs: Mapping[str, tuple[str, NDArray[np.float32]]]
) -> dict[str, Sample]:
    """Of outputs of encoders, by what is compared: the graph, and what PyTorch gave."""
    return {
        name: Sample.of(
            output, DEVICE_SLACK * encoder_figure(manifest, graph, name, output, output).bound
        )
        for name, (graph, output) in outputs.items()
    }


@torch.no_grad()
def _scene(
    resampler: GazeResampler, layers: tuple[int, ...], case: GraphCase
) -> list[NDArray[np.float32]]:
    """Tokens, keys and values of the one step of a clip."""
    tubelets, side = case.features.shape[:2]
    height, width = case.clip.grid
    weights = [
        interpolation_matrix(1, tubelets)[0],
        interpolation_matrix(height, side),
        interpolation_matrix(width, side),
    ]
    half = SceneHalf(resampler, layers)
    outputs = half(torch.from_numpy(case.features), *(torch.from_numpy(each) for each in weights))
    return [output.numpy() for output in outputs]


def _logits(
    manifest: Manifest,
    vectors: ReferenceVectors,
    reading: TransformersReading,
    rounded: RoundedWeights,
) -> NDArray[np.float32]:
    """Of the last token that is prefilled and of each that is decoded: (1 + decoded, vocabulary).

    One prefill gives them all.
    """
    before, steps, text = manifest.prompt.before_video, vectors.steps(), vectors.text
    placed = video_positions(reading.model, before, len(steps), kept.ODD_GRID)
    after = int(placed.max()) + 1 + torch.arange(len(text))  # the released rule
    places = torch.cat([placed, after.expand(3, -1)], dim=1)
    visual = [torch.from_numpy(each) for each, _ in steps]
    embeddings = torch.cat([rounded.embeddings(before), *visual, rounded.embeddings(text.tolist())])
    decoder = TorchDecoder(rounded, reading.model.config.get_text_config())
    first = len(embeddings) - kept.DECODED_TOKENS - 1
    added = _added(manifest, vectors, len(embeddings))
    return decoder.logits(embeddings, places, added, range(first, len(embeddings))).numpy()


def _added(manifest: Manifest, vectors: ReferenceVectors, tokens: int) -> dict[int, Tensor]:
    """By layer, the residuals of all steps where their tokens stand: (tokens, D)."""
    width = manifest.geometry.decoder.width
    added = {}
    for module, layer in enumerate(manifest.geometry.resampler.injected_layers):
        added[layer] = torch.zeros(tokens, width)
        first = len(manifest.prompt.before_video)
        for visual, residuals in vectors.steps():
            if residuals is not None:
                added[layer][first : first + len(visual)] = torch.from_numpy(residuals[module])
            first += len(visual)
    return added


def _logits_sample(manifest: Manifest, logits: NDArray[np.float32]) -> Sample:
    tolerance = device_tolerance(manifest)
    return Sample.of(logits, figure(names.DECODER, "", logits, logits, tolerance).bound)
