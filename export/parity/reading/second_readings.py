"""Encoder and resampler as we read them against a second reading of their files."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from export.modules.resampler import GazeResampler
from export.modules.vjepa import VJepaEncoder
from export.parity.reading.findings import MOST_NAMED, agreed, differs
from export.parity.reading.released_encoder import ReleasedEncoder
from export.parity.reading.released_gaze import ReleasedGaze
from export.parity.reading.transformers_reading import ORACLE
from runtime.bundle.manifest import ParityFigure

ENCODER, RESAMPLER = "V-JEPA file", "GazeQwen file"
TOLERANCE = 1e-4  # of the larger of 1 and the root mean square
PLACES = 9  # visual tokens that the resampler is tried on


def compare_encoder(ours: VJepaEncoder, theirs: ReleasedEncoder) -> Iterator[ParityFigure]:
    """Every tensor of the file. What is computed with them is compared with the graph."""
    state, stored = ours.state_dict(), theirs.stored
    wrong = [
        differs(ENCODER, f"{name} is not what the file holds")
        for name, tensor in state.items()
        if name not in stored or not torch.equal(tensor, stored[name].float())
    ]
    if ours.geometry.depth != theirs.depth:
        wrong.append(
            differs(ENCODER, f"{ours.geometry.depth} blocks here, {theirs.depth} in the file")
        )
    yield from wrong[:MOST_NAMED]
    if not wrong:
        yield agreed(
            ENCODER,
            f"{len(state)} tensors, as a second reading finds them ({ORACLE} knows V-JEPA 2.0 "
            "only: rotation, positions and modality of 2.1 are written twice)",
        )


def compare_gaze(ours: GazeResampler, theirs: ReleasedGaze) -> Iterator[ParityFigure]:
    """Every tensor of the file, and the residuals of every module for random features."""
    state = ours.state_dict()
    wrong = [
        differs(RESAMPLER, f"{name} is not what the file holds")
        for name, tensor in theirs.tensors.items()
        if name not in state or not torch.equal(state[name], tensor.float())
    ]
    yield from wrong[:MOST_NAMED]
    if not wrong:
        told = f"{len(state)} tensors of the resampler, as a second reading finds them"
        yield agreed(RESAMPLER, told)
    size = ours.geometry
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(PLACES, size.d_vjepa, generator=generator)
    encoding = torch.rand(size.d_latent, generator=generator) * 2 - 1
    with torch.no_grad():
        mine, other = ours(features, encoding), theirs(features, encoding)
    layers = theirs.geometry.injected_layers
    apart = [float((one - two).abs().max()) for one, two in zip(mine, other, strict=True)]
    worst = max(range(len(layers)), key=apart.__getitem__)
    bound = TOLERANCE * max(1.0, float(other[worst].pow(2).mean().sqrt()))
    told = f"residuals of {len(layers)} modules by the paper's equations, written twice"
    if not apart[worst] <= bound:
        told = f"{told}: module {worst}, layer {layers[worst]}, differs"
    yield agreed(RESAMPLER, told, apart[worst], bound)
