"""The decoder's matrices as an int4 bundle will round them, while mini learns to live with that.

Gradients pass through the rounding to the weights themselves (the straight-through estimator,
Bengio et al., arXiv 1308.3432).
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.utils import parametrize

from export.graphs.precision.quantization import linears


class Rounded(nn.Module):
    """A matrix as the bundle will hold it, in training; itself in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self._linears = linears("int4")

    def forward(self, weight: Tensor) -> Tensor:
        if not self.training:
            return weight
        return weight + (self._linears.rounded("", weight.detach()) - weight).detach()


def add_rounding(qwen: nn.Module) -> None:
    """Round all that a bundle rounds: every product of the decoder, and its head."""
    for linear in _products(qwen):
        parametrize.register_parametrization(linear, "weight", Rounded())


def remove_rounding(qwen: nn.Module) -> None:
    """The weights themselves again, if they were rounded."""
    for linear in _products(qwen):
        if parametrize.is_parametrized(linear):
            parametrize.remove_parametrizations(linear, "weight", leave_parametrized=False)


def _products(qwen: nn.Module) -> Iterator[nn.Linear]:
    decoder = qwen.model.language_model
    yield from (module for module in decoder.modules() if isinstance(module, nn.Linear))
    yield qwen.lm_head
