"""How long ago the look was that a question about the past asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from devices.synthetic.questions import GSM, LETTERS, NFI, OTP, TaskQuestion
from export.mini.world.clips import Clip
from export.mini.world.seen import GAZE_REACH

NEEDED = {
    OTP: "what came right after another thing: that look",
    GSM: "the order of the last three: the first of them",
    NFI: "what was never looked at: the look longest ago",
}


def steps_ago(clip: Clip, question: TaskQuestion) -> int | None:
    """Before how many steps of the clip the look was last shown that has to be remembered.

    None for a question that is about no look in the past.
    """
    if question.task not in NEEDED:
        return None
    looks = _looks(clip)
    right = question.options[LETTERS.index(question.answer)]
    if question.task == OTP:
        asked = next(name for name in clip.names if name in question.text)
        first = _last(looks, asked)
        after = (step for step in range(first, len(looks)) if looks[step] == right)
        needed = [next(after, first)]
    elif question.task == GSM:
        needed = [_last(looks, right.split(", ")[0])]
    else:
        needed = [_last(looks, name) for name in question.options if name != right]
    return len(looks) - 1 - min(needed)


def _looks(clip: Clip) -> list[str | None]:
    """The name of what each step shows to be looked at."""
    looks: list[str | None] = []
    for gaze, gazed, places, shown in zip(
        clip.gaze, clip.gazed, clip.places, clip.shown, strict=True
    ):
        gaps = np.where(shown, np.hypot(*(places - gaze).T), np.inf)
        near = int(gaps.argmin())
        looks.append(clip.names[near] if gazed and gaps[near] <= GAZE_REACH else None)
    return looks


def _last(looks: Sequence[str | None], name: str) -> int:
    """The last step that shows a look; the first of all where none does."""
    return max((step for step, looked in enumerate(looks) if looked == name), default=0)
