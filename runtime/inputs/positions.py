"""M-RoPE positions of a clip that may still grow, and the rotary rows that follow from them.

Source: Qwen2.5-VL (arXiv 2502.13923) as the released GazeQwen runs it. The rule is a setting of the
bundle, since transformers' own has changed from release to release.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from runtime.bundle.manifest import DecoderShape, PositionRule

AXES = 3  # time, row, column


def step_positions(
    rule: PositionRule, start: int, step: int, height: int, width: int
) -> NDArray[np.float32]:
    """Positions of one temporal step's visual tokens, row-major: (3, height * width).

    `start` is the position at which the clip begins, `step` the step's number in it from 0.
    """
    time = start + step * rule.tokens_per_second * rule.seconds_per_step
    rows, columns = np.divmod(np.arange(height * width), width)
    return np.stack([np.full(height * width, time), start + rows, start + columns]).astype(
        np.float32
    )


def text_after_video(rule: PositionRule, start: int, steps: int, height: int, width: int) -> int:
    """The first text position after a clip of `steps` temporal steps that begins at `start`."""
    if steps == 0:
        return start
    latest = start + (steps - 1) * rule.tokens_per_second * rule.seconds_per_step
    return math.floor(max(latest, start + height - 1, start + width - 1)) + 1


def text_positions(first: int, count: int) -> NDArray[np.float32]:
    """Positions of `count` text tokens from `first` on, the same on every axis: (3, count)."""
    return np.broadcast_to(np.arange(first, first + count, dtype=np.float32), (AXES, count))


def rotary_rows(
    shape: DecoderShape, positions: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines and sines for positions (3, tokens): each (tokens, head_dim / 2) float32.

    Computed in float32 throughout, as the model that was trained computed them.
    """
    half = shape.head_dim // 2
    powers = np.arange(0, shape.head_dim, 2, dtype=np.float32) / np.float32(shape.head_dim)
    rates = np.float32(1.0) / np.float32(shape.rope_theta) ** powers
    axis = np.repeat(np.arange(AXES), shape.mrope_section)
    if axis.size != half:
        raise ValueError(f"mrope_section {shape.mrope_section} does not sum to {half}")
    angles = positions[axis].T * rates
    return np.cos(angles), np.sin(angles)
