"""The first layers of the decoder with everything around them: engine against transformers.

Before rounding, in every mode and for every size: token embeddings, a video with its positions, a
gaze residual, two layers, the final norm and rows of the head, in float32 on both sides. Theirs is
transformers' own model of so many layers, filled from the files that transformers chose.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.checkpoints.qwen import EMBEDDINGS, HEAD
from export.checkpoints.qwen_config import DecoderGeometry
from export.graphs.decoder import DecoderEmitter
from export.graphs.graph_writer import graph_spec
from export.graphs.precision.quantization import linears
from export.graphs.weights import DecoderWeights
from export.parity.graphs import Clip, GraphCase
from export.parity.reading.positions import video_positions
from export.parity.reading.released_gaze import ReleasedGaze
from export.parity.reading.transformers_reading import ORACLE, TransformersReading
from export.parity.reference import ReferenceModel, ReferenceStep, injection
from export.parity.tolerances import figure
from runtime.bundle import names
from runtime.bundle.manifest import Manifest, ParityFigure
from runtime.bundle.opening import Bundle
from runtime.engines.engine import OnnxEngine
from runtime.model.context import Context
from runtime.model.models import Models

CUT_DOWN = "first layers"
LAYERS, INJECTED = 2, 0
HEAD_ROWS = 1024  # spread over the vocabulary; every row was compared as it was read
FOLDER = "first-layers"  # in the bundle's while it is compared
DECODER = "model.language_model."


@dataclass(frozen=True, slots=True, eq=False)
class CutDownCase:
    """A clip of a few steps as PyTorch encodes it, with tokens around it.

    `features` (tubelets, side, side, d_vjepa): PyTorch's, given to both sides.
    """

    clip: Clip
    before: tuple[int, ...]
    steps: tuple[ReferenceStep, ...]
    features: NDArray[np.float32]


def written_bytes(geometry: DecoderGeometry) -> int:
    """What the folder of the first layers takes on the disk while it is compared."""
    shapes = _cut_geometry(geometry, min(HEAD_ROWS, geometry.vocabulary)).shapes()
    return 4 * sum(math.prod(shape) for name, shape in shapes.items() if name != EMBEDDINGS)


def cut_down_case(models: Models, reference: ReferenceModel, case: GraphCase) -> CutDownCase:
    """The clip of a graph's case, every step of it encoded by PyTorch."""
    clip, features = case.clip, torch.from_numpy(case.features)
    steps = []
    for step, encoding in enumerate(clip.encodings):
        assert encoding is not None
        residuals = reference.residuals(
            features, step, clip.steps, clip.grid, torch.from_numpy(encoding)
        )
        visual = reference.visual(torch.from_numpy(clip.pair(step)))
        steps.append(ReferenceStep(visual, residuals[:1], clip.grid))
    before = models.bundle.manifest.prompt.before_video
    return CutDownCase(clip, before, tuple(steps), case.features)


def check_cut_down(
    models: Models,
    case: CutDownCase,
    weights: DecoderWeights,
    geometry: DecoderGeometry,
    theirs: TransformersReading,
    gaze: ReleasedGaze,
) -> Iterator[ParityFigure]:
    """Logits with gaze and without, before anything is rounded.

    `theirs`: of LAYERS layers, whose decoder is filled here.
    """
    vocabulary = models.bundle.manifest.geometry.decoder.vocabulary
    wanted = np.unique(np.linspace(0, vocabulary - 1, min(HEAD_ROWS, vocabulary)).astype(np.int64))
    expected = _their_logits(case, theirs, gaze, wanted.tolist())
    found = _our_logits(models, case, weights, geometry, wanted)
    steps = len(case.steps)
    for told in ("with gaze", "zero residual"):
        case_told = (
            f"logits {told} after {LAYERS} layers, float32, a video of {steps} steps, "
            f"as {ORACLE} and peft compute them"
        )
        yield figure(CUT_DOWN, case_told, found[told], expected[told])


def _their_logits(
    case: CutDownCase, theirs: TransformersReading, gaze: ReleasedGaze, wanted: Sequence[int]
) -> dict[str, NDArray[np.float32]]:
    decoder = theirs.model.model.language_model
    theirs.fill(decoder.layers, f"{DECODER}layers.")
    theirs.fill(decoder.norm, f"{DECODER}norm.")
    gaze.merge_into(decoder, decoder.layers)
    table = theirs.sources[f"{DECODER}{EMBEDDINGS}"]
    pieces = [table.rows(case.before), *(step.visual for step in case.steps)]
    embeddings = torch.cat([*pieces, table.rows(case.clip.text)]).unsqueeze(0)
    placed = video_positions(theirs.model, case.before, len(case.steps), case.clip.grid)
    first = int(placed.max()) + 1  # the released rule
    text = torch.arange(first, first + len(case.clip.text)).expand(3, -1)
    positions = torch.cat([placed, text], dim=1).unsqueeze(1)
    head = theirs.sources[HEAD].rows(wanted)
    plain = [replace(step, residuals=None) for step in case.steps]
    logits = {}
    for told, steps in (("with gaze", case.steps), ("zero residual", plain)):
        with torch.no_grad(), injection(decoder.layers, (INJECTED,), len(case.before), steps):
            hidden = decoder(
                inputs_embeds=embeddings,
                position_ids=positions,
                attention_mask=torch.ones(1, embeddings.shape[1], dtype=torch.long),
                use_cache=False,
            ).last_hidden_state
        logits[told] = (head @ hidden[0, -1]).numpy()
    del decoder.layers[:]  # their memory is needed for ours
    return logits


def _our_logits(
    models: Models,
    case: CutDownCase,
    weights: DecoderWeights,
    geometry: DecoderGeometry,
    wanted: NDArray[np.int64],
) -> dict[str, NDArray[np.float32]]:
    bundle, clip = models.bundle, case.clip
    # The vision tower is gone again before the layers are there: together they are the peak.
    steps = [_our_step(models, case, step) for step in range(clip.steps)]
    folder = bundle.folder / FOLDER
    folder.mkdir(exist_ok=True)
    try:
        size = _cut_geometry(geometry, len(wanted))
        cut = _CutWeights(weights, torch.from_numpy(wanted))
        path = DecoderEmitter(cut, size, (INJECTED,), linears("float32")).emit(folder)
        # As stored: a copy laid out for speed would double the memory.
        engine = OnnxEngine(path, packed=False)
        room = len(case.before) + len(clip.text) + clip.steps * clip.grid[0] * clip.grid[1]
        context = Context(
            engine,
            _cut_manifest(bundle, len(wanted)),
            _EmbeddingRows(weights.tensor(EMBEDDINGS)),
            clip.grid,
            room,
        )
        start = context.mark()
        logits = {}
        for told in ("with gaze", "zero residual"):
            context.rewind(start)
            for visual, residuals in steps:
                context.append_step(visual, residuals if told == "with gaze" else None)
            logits[told] = context.append_text(np.array(clip.text))
        return logits
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _our_step(
    models: Models, case: CutDownCase, step: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Visual embeddings (H*W, D) and the first module's residuals (1, H*W, D), by the graphs."""
    clip = case.clip
    encoding = clip.encodings[step]
    assert encoding is not None
    if models.bundle.manifest.rounds_encoders:  # compared elsewhere: here PyTorch's own
        theirs = case.steps[step]
        assert theirs.residuals is not None
        return theirs.visual.numpy(), theirs.residuals.numpy()
    features = case.features[models.tubelets(clip.steps)]
    scene = models.scene(features, step, clip.steps, clip.grid)
    return models.visual(clip.pair(step)), models.residuals(scene, encoding)[:1]


def _cut_geometry(geometry: DecoderGeometry, rows: int) -> DecoderGeometry:
    """The first layers, with `rows` of the head."""
    return replace(geometry, layers=LAYERS, vocabulary=rows, tied=False)


def _cut_manifest(bundle: Bundle, vocabulary: int) -> Manifest:
    whole = bundle.manifest
    geometry = replace(
        whole.geometry,
        decoder=replace(whole.geometry.decoder, layers=LAYERS, vocabulary=vocabulary),
        resampler=replace(whole.geometry.resampler, injected_layers=(INJECTED,)),
    )
    graphs = {**whole.graphs, names.DECODER: graph_spec(bundle.folder / FOLDER, names.DECODER)}
    return replace(whole, geometry=geometry, graphs=graphs)


class _CutWeights:
    """The decoder's weights with a few rows of the head."""

    def __init__(self, weights: DecoderWeights, rows: Tensor) -> None:
        self._weights = weights
        self._rows = rows

    def tensor(self, name: str, dtype: torch.dtype | None = None) -> Tensor:
        tensor = self._weights.tensor(name, None if name == HEAD else dtype)
        if name != HEAD:
            return tensor
        rows = tensor[self._rows]
        return rows if dtype is None else rows.to(dtype)


class _EmbeddingRows:
    """Token embeddings before they are rounded, by token."""

    def __init__(self, table: Tensor) -> None:
        self._table = table

    def __getitem__(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._table[torch.from_numpy(tokens)].float().numpy()
