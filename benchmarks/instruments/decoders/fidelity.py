"""How near a decoder's logits are to PyTorch's in float32 over the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.instruments.decoders.in_torch import text_config
from benchmarks.instruments.decoders.workload import DrawnWeights, Workload, injected_layers
from export.checkpoints.qwen_config import DecoderGeometry
from export.graphs.precision.quantization import ROWS
from export.parity.torch_decoder import TorchDecoder

COLUMNS = ("logits' error, %", "same arg-max, %")


@dataclass(frozen=True, slots=True)
class Fidelity:
    """`error`: the root mean square of what logits are off, as a share of that of all logits, each
    row's mean taken off, which no probability depends on. `agreement`: share of rows with the same
    arg-max."""

    error: float
    agreement: float

    @classmethod
    def of(cls, logits: NDArray[np.float32], reference: NDArray[np.float32]) -> Fidelity:
        """Of logits (rows, vocabulary)."""
        ours, theirs = (
            each.astype(np.float64) - each.mean(axis=1, keepdims=True, dtype=np.float64)
            for each in (logits, reference)
        )
        error = np.sqrt(np.mean((ours - theirs) ** 2) / np.mean(theirs**2))
        same = np.mean(logits.argmax(axis=1) == reference.argmax(axis=1))
        return cls(float(error), float(same))

    @property
    def cells(self) -> tuple[float, float]:
        """In percent, for a row of a table."""
        return 100 * self.error, 100 * self.agreement


class _Float32Weights:
    """What the reference asks for: the drawn weights in float32, or some rows of a matrix."""

    def __init__(self, geometry: DecoderGeometry) -> None:
        self._drawn = DrawnWeights(geometry)

    def tensor(self, name: str) -> torch.Tensor:
        return self._drawn.tensor(name, torch.float32)

    def rows(self, name: str) -> Iterator[torch.Tensor]:
        for rows in self._drawn.tensor(name).split(ROWS):
            yield rows.float()


def reference_logits(geometry: DecoderGeometry, workload: Workload) -> NDArray[np.float32]:
    """The logits (answer, vocabulary) of the answer's tokens behind the whole context.

    One layer in memory at a time, so that a 7B's can be had; the residuals are added by the layer
    they belong to, in the context alone.
    """
    decoder = TorchDecoder(_Float32Weights(geometry), text_config(geometry))
    tokens = np.concatenate([workload.context, workload.answer])
    embeddings = torch.from_numpy(workload.embedded(tokens))
    places = torch.arange(len(tokens)).expand(3, -1)
    steps = [workload.residuals[:, : len(workload.tokens_of(n))] for n in range(workload.steps)]
    silent = np.zeros_like(workload.residuals[:, :1]).repeat(len(workload.answer), axis=1)
    added = torch.from_numpy(np.concatenate([*steps, silent], axis=1))
    residuals = dict(zip(injected_layers(geometry), added, strict=True))
    rows = range(len(workload.context), len(tokens))
    return decoder.logits(embeddings, places, residuals, rows).numpy()
