"""Our positions and rotary rows against transformers' own, for a prompt with a video.

Where text goes on after a video differs between versions of transformers (MODEL.md): that rule is
the released checkpoint's, and is compared with a table written out by hand.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import Qwen2_5_VLForConditionalGeneration

from export.parity.reading.findings import agreed, entries
from export.parity.reading.transformers_reading import ORACLE
from runtime.bundle.manifest import DecoderShape, ParityFigure, PositionRule, PromptPieces
from runtime.inputs.positions import (
    rotary_rows,
    step_positions,
    text_after_video,
    text_positions,
)

POSITIONS = "positions"
STEPS, GRID = 3, (3, 5)
# Of the largest angle, for its cosine: processors differ in the last digit of a power, so that a
# rate is off by one on either side, and so is the product with the position.
TOLERANCE = 4 * float(np.finfo(np.float32).eps)
VIDEO_TYPE = 2  # of a token, to transformers from 5.0 on
# (start, steps, height, width, first text position) at two positions per step.
AFTER_VIDEO = (
    (15, 1, 9, 12, 27),
    (15, 4, 2, 3, 22),
    (0, 1, 1, 1, 1),
    (28, 8, 12, 9, 43),
    (7, 0, 4, 4, 7),
)


def compare_positions(
    shape: DecoderShape,
    rule: PositionRule,
    prompt: PromptPieces,
    model: Qwen2_5_VLForConditionalGeneration,
) -> Iterator[ParityFigure]:
    """Of the text before a video and of its visual tokens, then the rule for what follows."""
    before, (height, width) = len(prompt.before_video), GRID
    ours = np.concatenate(
        [text_positions(0, before)]
        + [step_positions(rule, before, step, height, width) for step in range(STEPS)],
        axis=1,
    )
    theirs = video_positions(model, prompt.before_video, STEPS, GRID)
    told = f"{STEPS} steps of {height} x {width} visual tokens"
    yield agreed(
        POSITIONS, f"{told}, as {ORACLE}'s get_rope_index places them", _apart(ours, theirs)
    )
    # Far positions tell frequencies apart that near ones do not.
    far = theirs[:, None] * torch.tensor(7)
    rotary = model.model.language_model.rotary_emb
    cos, sin = (each[0].numpy() for each in rotary(torch.zeros(1), far))
    rows = rotary_rows(shape, far[:, 0].numpy().astype(np.float32))
    found = max(
        float(np.abs(mine - each[:, : mine.shape[1]]).max())
        for mine, each in zip(rows, (cos, sin), strict=True)
    )
    bound = TOLERANCE * max(1.0, float(far.max()))
    yield agreed(POSITIONS, f"rotary rows of {told}, as {ORACLE} turns them", found, bound)
    written = replace(rule, tokens_per_second=2)
    yield from entries(
        POSITIONS,
        "the position rule",
        "the table of the released rule",
        (
            (f"text after {clip}", text_after_video(written, *clip), expected)
            for *clip, expected in AFTER_VIDEO
        ),
    )


def video_positions(
    model: Qwen2_5_VLForConditionalGeneration,
    before: tuple[int, ...],
    steps: int,
    grid: tuple[int, int],
) -> Tensor:
    """transformers' positions of some text and a clip after it: (3, tokens) int64."""
    visual = steps * grid[0] * grid[1]
    merge = model.config.vision_config.spatial_merge_size
    video = model.config.video_token_id
    given = {
        "input_ids": torch.tensor([[*before, *[video] * visual]]),
        "mm_token_type_ids": torch.tensor([[0] * len(before) + [VIDEO_TYPE] * visual]),
        "video_grid_thw": torch.tensor([[steps, grid[0] * merge, grid[1] * merge]]),
        "second_per_grid_ts": torch.ones(1),
    }
    taken = inspect.signature(model.model.get_rope_index).parameters
    positions, _ = model.model.get_rope_index(
        **{name: value for name, value in given.items() if name in taken}
    )
    return positions[:, 0]


def _apart(ours: NDArray[np.float32], theirs: Tensor) -> float:
    """The largest difference; 1 where there are more of one than of the other."""
    if ours.shape != tuple(theirs.shape):
        return 1.0
    return float(np.abs(ours - theirs.numpy()).max())
