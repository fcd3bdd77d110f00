"""Clips of wearers that mini was not trained on, each asked whatever its end gives occasion for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from devices.samples import Fixation
from devices.synthetic.questions import ASKERS, GSM, GTA, NFI, OAA, OTP, TaskQuestion
from devices.synthetic.wearer import Wearer
from export.mini.sizes import MOST_STEPS
from export.mini.world.clips import Clip, draw_clip, seen_in_steps
from runtime.answers.questions import Question, alert_question

HELD_OUT = 1_000_003  # first number of the seeds of evaluation, which no training uses
PAST = (NFI, OTP, GSM)
FEWEST_PAST = 3  # steps


@dataclass(frozen=True, slots=True, eq=False)
class ClipPair:
    """A clip, and another with as many steps, whose gaze is shuffled gaze for the first."""

    clip: Clip
    other: Clip


def held_out(seed: int, wanted: Callable[[], Collection[str]]) -> Iterator[ClipPair]:
    """Clips without end, each paired with the one of the same length before it.

    Only clips with an occasion for one of the `wanted` tasks are drawn, which may change.
    """
    before: dict[int, Clip] = {}
    number = 0
    while True:
        random = np.random.default_rng((HELD_OUT, seed, number))
        number += 1
        steps = int(random.integers(1, MOST_STEPS + 1))
        clip = draw_clip(random, steps, partial(every_task, wanted=wanted()))
        if steps in before:
            yield ClipPair(clip, before[steps])
        before[steps] = clip


def every_task(
    random: np.random.Generator,
    wearer: Wearer,
    times: NDArray[np.float64],
    gazed: NDArray[np.bool_],
    *,
    wanted: Collection[str],
) -> list[TaskQuestion] | None:
    """One question of every wanted task that the clip's end gives occasion for; None without any.

    The past is asked about only where the steps show everything that was looked at.
    """
    if not gazed[-1]:
        return None
    moment = wearer.moment(float(times[-1]), float(times[0]))
    shown = len(times) >= FEWEST_PAST and seen_in_steps(wearer, times, gazed) == moment.looked_at
    tasks = [task for task in ASKERS if task in wanted and (shown or task not in PAST)]
    asked = [ASKERS[task](random, moment) for task in tasks]
    return [question for question in asked if question is not None] or None


def fixations_of(clip: Clip) -> list[tuple[Fixation, ...]]:
    """The fixation that is active at each step, where there is one."""
    return [
        (Fixation(0, 0, float(x), float(y), 0, None, "velocity"),) if gazed else ()
        for (x, y), gazed in zip(clip.gaze, clip.gazed, strict=True)
    ]


def worded(question: TaskQuestion) -> Question:
    """A question as the runtime asks it."""
    if question.task in (GTA, OAA):
        return alert_question(question.text, question.answer)
    return Question(question.text, question.options, question.answer)
