"""Random tensors that compute like trained ones: no activation or logit vanishes or explodes.

A tensor depends on the seed and its name alone, so that the order of drawing means nothing, and it
comes in pieces, so that no size is too large.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator

import torch
from torch import Tensor

PIECE = 1 << 22  # elements drawn at a time

# Where 1/sqrt(fan in) is not what is wanted: (name, standard deviation, times 1/sqrt(fan in)).
# The gaze projection is wide and the latents start at 1 so that gaze moves the resampler's
# attention; the residual is as large as the stream it is added to.
EXCEPTIONS = (
    (re.compile(r"mod_embed$"), 0.5, False),
    (re.compile(r"^latents\."), 1.0, False),
    (re.compile(r"^g_projs\..*weight$"), 4.0, True),
    (re.compile(r"^proj_outs\."), 2.0, True),
    (re.compile(r"lora_B$"), 0.05, False),
)
VECTOR_SPREAD = 0.1  # of biases around 0, of norms and amplitudes around 1


def random_tensor(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """A whole tensor, float32."""
    return torch.cat(list(random_pieces(name, shape, seed))).view(shape)


def random_pieces(name: str, shape: tuple[int, ...], seed: int) -> Iterator[Tensor]:
    """The elements of a tensor in order, float32, at most PIECE at a time."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    mean, deviation = _distribution(name, shape)
    left = math.prod(shape)
    while left:
        piece = torch.randn(min(left, PIECE), generator=generator)
        yield piece.mul_(deviation).add_(mean)
        left -= len(piece)


def _distribution(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Mean and standard deviation."""
    if len(shape) == 1:
        return (0.0 if name.endswith("bias") else 1.0), VECTOR_SPREAD
    unit = 1 / math.sqrt(math.prod(shape[1:]))
    for pattern, deviation, scaled in EXCEPTIONS:
        if pattern.search(name):
            return 0.0, deviation * unit if scaled else deviation
    return 0.0, unit
