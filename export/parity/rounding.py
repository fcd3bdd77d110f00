"""What storing the encoders in 16 or 8 bits changes, apart from what their kernels change.

PyTorch's encoders are run twice: as they were read, and with every matrix rounded as the graphs
store it. Their difference is the rounding's; the graphs are compared with the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from export.graphs.precision.eight_bits import restored
from export.parity.graphs import GraphCase, graph_cases
from export.parity.reading.released_gaze import ReleasedGaze
from export.parity.reference import ReferenceModel
from export.parity.tolerances import encoder_figure, encoder_type
from runtime.bundle import names
from runtime.bundle.manifest import EncoderType, Manifest, ParityFigure
from runtime.model.models import Models

TORCH_TYPES = {"float32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def narrow_cases(models: Models, reference: ReferenceModel, gaze: ReleasedGaze) -> list[GraphCase]:
    """The clips of `graph_cases` with the reference's encoders rounded, which they stay.

    `gaze`: the resampler of `reference`.
    """
    kinds = models.bundle.manifest.encoders
    assert isinstance(reference.vjepa, nn.Module)
    round_matrices(reference.vjepa, kinds[names.VJEPA])
    round_matrices(reference.qwen.model.visual, kinds[names.VISION])
    gaze.tensors = _rounded_resampler(gaze, kinds[names.GAZE])
    return graph_cases(models, reference)


@torch.no_grad()
def round_matrices(module: nn.Module, kind: EncoderType) -> None:
    """Every matrix of a module as a graph stores it; convolutions and vectors stay."""
    for linear in module.modules():
        if isinstance(linear, nn.Linear):
            whole = linear.weight.float()
            rounded = restored(whole) if kind == "int8" else whole.to(TORCH_TYPES[kind]).float()
            linear.weight.copy_(rounded)


def _rounded_resampler(gaze: ReleasedGaze, kind: EncoderType) -> Mapping[str, Tensor]:
    """Amplitudes are part of the output matrices when those are rounded, as in the graph."""
    layers, narrow = gaze.geometry.injected_layers, TORCH_TYPES[kind]
    rounded = {}
    for name, tensor in gaze.tensors.items():
        factor = 1.0
        if name.startswith("proj_outs."):
            factor = float(gaze.tensors["amplitude"][layers[int(name.split(".")[1])]]) or 1.0
        matrix = name.endswith(".weight") and tensor.dim() == 2
        whole = tensor.float()
        rounded[name] = (whole * factor).to(narrow).float() / factor if matrix else whole
    return rounded


def rounding_figures(
    manifest: Manifest, exact: Sequence[GraphCase], rounded: Sequence[GraphCase]
) -> Iterator[ParityFigure]:
    """How far PyTorch's outputs move when its matrices are rounded."""
    for before, after in zip(exact, rounded, strict=True):
        pairs: list[tuple[str, str, np.ndarray, np.ndarray]] = [
            (names.VJEPA, "features", after.features, before.features),
            (names.VISION, "visual embeddings", after.visual, before.visual),
        ]
        pairs += [
            (names.GAZE, f"residuals, {gaze}", after.residuals[gaze], before.residuals[gaze])
            for gaze in before.gazes
        ]
        for graph, what, narrow, wide in pairs:
            kind = encoder_type(manifest, graph)
            told = f"rounding to {kind} alone, {what}, {before.name}"
            yield encoder_figure(manifest, graph, told, narrow, wide)
