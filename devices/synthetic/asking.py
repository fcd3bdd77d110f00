"""Which questions are asked about a wearer, and at which moments: by a data set, or live.

A data set's time stamps are whole seconds at which a fixation of the fixation file has lasted a
while and goes on. The past is asked about only where the steps of a clip from the start show it.

A live run makes a step every two seconds. Its first context holds all of them, a later one those of
half a window at least. So live, a question about the past is asked where those steps show every
look that its answer rests on, whichever context it meets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from devices.synthetic.eyes import Dwell, active_centre
from devices.synthetic.questions import (
    ALL_NAMES,
    ASKERS,
    GSM,
    GTA,
    LETTERS,
    NFI,
    OAA,
    OTP,
    TaskQuestion,
    fixated,
    not_fixated,
    pick,
    presence_alert,
    sequence,
    transition,
)
from devices.synthetic.wearer import Moment, Wearer

LEAST = 2.0  # seconds that a fixation lasts in StreamGaze's files
SETTLED = 0.3  # seconds that a fixation has lasted when a question is asked, and goes on after it
STEP_GAP = 2.0  # seconds between the steps of a clip of up to 30 s
FEWEST_STEPS = 3  # in which the past is asked about
ROUNDS = 4  # of looking for an occasion at every moment
PAST = (GSM, NFI, OTP)
ALERTS = (GTA, OAA)
WINDOW = 28.0  # seconds for which a live run's first context holds everything, a step to spare
HALF = 14.0  # and for which any context does
MINUTE = 60.0
MIN_OPEN = 0.15  # seconds that eyes have rested where a step shows it
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Occasion:
    """A moment to ask at. `past`: whether the steps up to it show everything looked at."""

    moment: Moment
    past: bool


def kept_fixations(wearer: Wearer, seconds: float) -> list[Dwell]:
    """The dwells that are whole and long enough to be in a fixation file, the bare table's too."""
    dwells = wearer.dwells(0.0, seconds)
    return [each for each in dwells if each.end <= seconds and each.end - each.start >= LEAST]


def entries_about(
    wearer: Wearer, seconds: int, counts: Mapping[str, int], seed: tuple[int, ...]
) -> Iterator[tuple[str, Entry]]:
    """A task and an entry of its file.

    `counts`: how many questions or test points of each task are wanted, if there is occasion for
    so many. Those of a smaller count are among those of a larger one.
    """
    occasions = list(_occasions(wearer, seconds))
    for order, task in enumerate(ASKERS):
        random = np.random.default_rng((*seed, order))
        if task in ALERTS:
            entries = _alerts(random, task, wearer, [each.moment for each in occasions], counts)
        else:
            entries = _choices(random, task, occasions, counts[task])
        for entry in entries:
            yield task, entry


def asked_in(entry: Entry) -> int:
    """How many questions or test points an entry holds."""
    (question,) = entry["questions"]
    return len(question.get("test_info", "1"))


def shares(available: Sequence[int], total: int) -> list[int]:
    """How many of each to take for `total` in all, as evenly as there are; all if there are fewer.

    What an even share leaves over goes to the first ones.
    """
    taken = [0] * len(available)
    left = min(total, sum(available))
    while left:
        open_ones = [place for place, most in enumerate(available) if taken[place] < most]
        for place in open_ones[:left]:
            taken[place] += 1
        left -= min(left, len(open_ones))
    return taken


def ask_about_the_past(
    random: np.random.Generator, wearer: Wearer, seconds: float
) -> TaskQuestion | None:
    """A question about what was looked at before a moment; None where none has a sure answer."""
    begin = 0.0 if seconds <= WINDOW else seconds - HALF
    if not _all_shown(wearer, begin, seconds):
        return None
    moment = wearer.moment(seconds, begin)
    askers = [fixated, not_fixated, sequence]
    if begin:
        # What only an older context holds is left out of the question.
        older = set(wearer.moment(seconds, seconds - MINUTE).looked_at) - set(moment.looked_at)
        moment = replace(moment, present=tuple(set(moment.present) - older))
    else:
        # What came after a thing may differ from one context to the next.
        askers.append(transition)
    asked = (askers[place](random, moment) for place in random.permutation(len(askers)))
    return next((question for question in asked if question is not None), None)


def _all_shown(wearer: Wearer, begin: float, seconds: float) -> bool:
    """Whether every look since `begin` has a step, or the question itself, within it."""
    track = wearer.eyes.track(seconds)
    steps = np.arange(STEP_GAP * np.ceil(begin / STEP_GAP), seconds, STEP_GAP)
    shown = [
        wearer.eyes.dwell_at(float(step))
        for step in (*steps, seconds)
        if active_centre(track, float(step), MIN_OPEN, False) is not None
    ]
    return all(dwell in shown for dwell in wearer.dwells(begin, seconds))


def _occasions(wearer: Wearer, seconds: int) -> Iterator[Occasion]:
    kept = kept_fixations(wearer, seconds)
    for second in range(1, seconds):
        if any(each.start + SETTLED <= second <= each.end - SETTLED for each in kept):
            moment = wearer.moment(float(second))
            yield Occasion(moment, _seen_in_steps(kept, second) == moment.looked_at)


def _seen_in_steps(kept: Sequence[Dwell], second: int) -> tuple[int, ...] | None:
    """What the steps up to a second show to be looked at, in order; None of too few steps."""
    times = [*np.arange(0.0, second, STEP_GAP).tolist(), float(second)]
    if len(times) < FEWEST_STEPS:
        return None
    shown = [each for each in kept if any(each.start <= time <= each.end for time in times)]
    return tuple(each.thing for each in shown if each.thing is not None)


def _choices(
    random: np.random.Generator, task: str, occasions: Sequence[Occasion], count: int
) -> Iterator[Entry]:
    """Different questions, spread over the moments."""
    fit = [each.moment for each in occasions if each.past or task not in PAST]
    asked: set[tuple[float, str, str]] = set()
    for _ in range(ROUNDS):
        for place in random.permutation(len(fit)):
            if len(asked) == count:
                return
            question = ASKERS[task](random, fit[place])
            if question is None:
                continue
            right = question.options[LETTERS.index(question.answer)]
            about = fit[place].seconds, question.text, right
            if about not in asked:
                asked.add(about)
                yield _entry(fit[place], question)


def _entry(moment: Moment, question: TaskQuestion) -> Entry:
    options = [
        f"{letter}. {option}" for letter, option in zip(LETTERS, question.options, strict=True)
    ]
    asked = {
        "question": question.text,
        "time_stamp": _clock(moment.seconds),
        "answer": question.answer,
        "options": options,
        "task_type": question.task,
    }
    return {"response_time": _clock(moment.seconds), "questions": [asked]}


def _alerts(
    random: np.random.Generator,
    task: str,
    wearer: Wearer,
    moments: Sequence[Moment],
    counts: Mapping[str, int],
) -> Iterator[Entry]:
    """Alerts by what they are about, with as many test points of type 1 (triggered) as of 0."""
    pairs = counts[task] // 2
    hits, misses = (_test_points(random, task, moments, kind, pairs) for kind in (1, 0))
    points: dict[str, dict[float, int]] = defaultdict(dict)
    for hit, miss in zip(hits, misses, strict=False):
        points[hit[0]][hit[1]] = 1
        points[miss[0]][miss[1]] = 0
    for name, kinds in points.items():
        appears = [thing.appears for thing in wearer.scene.things if thing.name == name]
        info = [{"realtime": _clock(at), "type": kinds[at]} for at in sorted(kinds)]
        asked = {
            "question": presence_alert(random, task, name),
            "time_stamp": info[0]["realtime"],
            "first_appearance": _clock(appears[0]) if appears else None,
            "target_object": name,
            "test_info": info,
        }
        yield {"response_time": info[0]["realtime"], "questions": [asked]}


def _test_points(
    random: np.random.Generator, task: str, moments: Sequence[Moment], kind: int, most: int
) -> list[tuple[str, float]]:
    """Different test points of a type: what is asked about, and the second."""
    points: dict[tuple[str, float], None] = {}
    for _ in range(ROUNDS):
        for place in random.permutation(len(moments)):
            names = _targets(task, moments[place], kind)
            if names and len(points) < most:
                points[pick(random, names), moments[place].seconds] = None
    return list(points)


def _targets(task: str, moment: Moment, kind: int) -> list[str]:
    """What an alert may be about that is triggered at a moment (1), or is not (0).

    A thing that has not appeared: one that yet will, else one that is not in the scene.
    """
    things = moment.scene.things
    if task == GTA:
        looked = [place for place in moment.present if (place == moment.gaze) == (kind == 1)]
        return [things[place].name for place in looked]
    there = [things[place].name for place in moment.present]
    late = [thing.name for thing in things if thing.name not in there]
    absent = [name for name in ALL_NAMES if name not in there]
    return there if kind == 1 else late or absent


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60:02d}:{whole % 60:02d}"
