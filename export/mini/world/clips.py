"""Training clips: what the runtime would feed the model about a synthetic wearer.

Steps, gaze and truth follow the causal protocol: a step's pixels and fixations are what had been
captured by its own time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFilter

from devices.synthetic.eyes import active_centre
from devices.synthetic.questions import (
    ASKERS,
    FIX,
    FREE,
    TaskQuestion,
    fixated,
    spoken,
)
from devices.synthetic.scene import Thing
from devices.synthetic.table import TablePicture, through_camera
from devices.synthetic.wearer import Wearer
from export.mini.sizes import FRAME, FRAME_GAP, MIN_OPEN, STEP_GAP
from export.mini.world.clip_plan import PAST

MOST_THINGS = 6
DRAWN_AT = 168  # pixels of a frame side when a table is drawn for training
ASKED = ASKERS | {FREE: spoken, FIX: fixated}


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One clip of S steps: fields as in `ClipBatch`, without the first axis.

    Clips of one film have the same frames.
    """

    frames: NDArray[np.uint8]
    gaze: NDArray[np.float32]
    gazed: NDArray[np.bool_]
    places: NDArray[np.float32]
    shown: NDArray[np.bool_]
    things: tuple[Thing, ...]
    watched: int | None
    questions: list[TaskQuestion]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the things, in their order."""
        return tuple(thing.name for thing in self.things)


AskAbout = Callable[
    [np.random.Generator, Wearer, NDArray[np.float64], NDArray[np.bool_]],
    list[TaskQuestion] | None,
]
"""Asks about a wearer at the end of a clip with steps at these times, some with gaze; or can't."""


def draw_clip(random: np.random.Generator, steps: int, ask: AskAbout) -> Clip:
    """A clip of a new wearer about whose end `ask` has questions."""
    (clip,) = draw_takes(random, steps, ask, 1)
    return clip


def draw_takes(random: np.random.Generator, steps: int, ask: AskAbout, takes: int) -> list[Clip]:
    """Clips of a new wearer with the same frames, looked at anew in each of them.

    What was looked at is all that tells them apart.
    """
    while True:
        start = float(random.uniform(0.3, 4.0))
        times = start + STEP_GAP * np.arange(steps)
        if steps > 1:
            times[-1] -= random.uniform(0, STEP_GAP - 0.05)
        wearer = Wearer(int(random.integers(1 << 62)), float(times[-1]) + 2.0)
        first = _look(random, wearer, times, ask)
        if first is not None:
            break
    frames = _frames(random, wearer, times)
    looks = [first]
    while len(looks) < takes:
        other = wearer.looking_anew(int(random.integers(1 << 62)))
        look = _look(random, other, times, ask)
        if look is not None:
            looks.append(look)
    places, shown = _places(wearer, times)
    things = wearer.scene.things
    return [
        Clip(frames, look.gaze, look.gazed, places, shown, things, look.watched, look.questions)
        for look in looks
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What of a clip is a matter of gaze: fields as in `Clip`."""

    gaze: NDArray[np.float32]
    gazed: NDArray[np.bool_]
    watched: int | None
    questions: list[TaskQuestion]


def _look(
    random: np.random.Generator, wearer: Wearer, times: NDArray[np.float64], ask: AskAbout
) -> _Look | None:
    fine = bool(random.random() < 0.5)
    gaze, gazed = _gaze(wearer, times, fine)
    asked = ask(random, wearer, times, gazed)
    if asked is None:
        return None
    watched = wearer.moment(float(times[-1])).gaze if gazed[-1] else None
    return _Look(gaze, gazed, watched, asked)


def _places(
    wearer: Wearer, times: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    places = np.zeros((len(times), MOST_THINGS, 2), np.float32)
    shown = np.zeros((len(times), MOST_THINGS), np.bool_)
    for place, thing in enumerate(wearer.scene.things):
        spot = np.array([[thing.x], [thing.y]])
        places[:, place] = wearer.head.seen(spot, times).T
        shown[:, place] = times >= thing.appears
    return places, shown


def _gaze(
    wearer: Wearer, times: NDArray[np.float64], fine: bool
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    track = wearer.eyes.track(float(times[-1]) + 0.1)
    gaze, gazed = np.zeros((len(times), 2), np.float32), np.zeros(len(times), np.bool_)
    for step, time in enumerate(times):
        centre = active_centre(track, float(time), MIN_OPEN, fine)
        if centre is not None:
            gaze[step], gazed[step] = centre, True
    return gaze, gazed


def questions_at_the_end(
    random: np.random.Generator,
    wearer: Wearer,
    times: NDArray[np.float64],
    gazed: NDArray[np.bool_],
    *,
    count: int,
    weights: Mapping[str, float],
) -> list[TaskQuestion] | None:
    """Questions about the clip's end; None where there are too few to ask."""
    moment = wearer.moment(float(times[-1]), float(times[0]))
    tasks = [task for task in weights if task not in PAST]
    if gazed[-1]:
        if len(times) > 2:
            if seen_in_steps(wearer, times, gazed) == moment.looked_at:
                tasks = list(weights)
            elif random.random() < 0.8:
                return None
    else:
        if random.random() < 0.8:
            return None
        moment = replace(moment, gaze=None)
        tasks.remove(FREE)
    shares = np.array([weights[task] for task in tasks])
    asked: list[TaskQuestion] = []
    for _ in range(8 * count):
        task = tasks[random.choice(len(tasks), p=shares / shares.sum())]
        question = ASKED[task](random, moment)
        if question is not None:
            asked.append(question)
        if len(asked) == count:
            return asked
    return None


def seen_in_steps(
    wearer: Wearer, times: NDArray[np.float64], gazed: NDArray[np.bool_]
) -> tuple[int, ...]:
    """The things looked at as the steps show them."""
    dwells = [wearer.eyes.dwell_at(float(time)) for time in times[gazed]]
    order = [dwell for place, dwell in enumerate(dwells) if dwell not in dwells[:place]]
    return tuple(dwell.thing for dwell in order if dwell and dwell.thing is not None)


def _frames(
    random: np.random.Generator, wearer: Wearer, times: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Both frames of every step as the model gets them, blurred and noisy as cameras make them."""
    table = TablePicture(wearer.scene, DRAWN_AT)
    noise = float(random.uniform(0.5, 4.0))
    blur = float(random.uniform(0.3, 0.9)) if random.random() < 0.3 else 0.0
    frames = np.empty((len(times), 2, FRAME, FRAME, 3), np.uint8)
    for step, time in enumerate(times):
        for place, moment in enumerate((max(time - FRAME_GAP, 0.0), time)):
            image = table.view(wearer.head.pose(moment), moment, FRAME, FRAME)
            if blur:
                image = image.filter(ImageFilter.GaussianBlur(blur))
            index = int(random.integers(1 << 20))
            frames[step, place] = through_camera(np.asarray(image), noise, index)
    return frames
