"""Training clips: what the runtime would feed the model about a synthetic wearer, in batches.

Steps, gaze and truth follow the causal protocol: a step's pixels and fixations are what had been
captured by its own time. All clips of a batch have the same number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ImageFilter
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import IterableDataset

from devices.synthetic.eyes import active_centre
from devices.synthetic.questions import (
    ASKERS,
    FREE,
    GTA,
    TaskQuestion,
    spoken,
)
from devices.synthetic.scene import Thing
from devices.synthetic.shapes import COLOURS, KINDS
from devices.synthetic.table import TablePicture, through_camera
from devices.synthetic.wearer import Wearer
from export.mini.clip_plan import PAST, PRESENT, DrawnClips
from export.mini.prompts import AskedText, PromptWriter, padded
from export.mini.sizes import FRAME, FRAME_GAP, MIN_OPEN, STEP_GAP

MOST_THINGS = 6
NOT_A_THING = -1
DRAWN_AT = 168  # pixels of a frame side when a table is drawn for training


@dataclass(frozen=True, slots=True, eq=False)
class ClipBatch:
    """B clips of S steps with Q questions each.

    frames (B, S, 2, FRAME, FRAME, 3) uint8, older then newer; gaze (B, S, 2) in fractions of the
    frame and gazed (B, S) bool; places (B, S, T, 2), shown (B, S, T) bool, kinds and colours
    (B, T) int64 of up to T things; watched (B,) int64, the place among the things of what is looked
    at in the end, NOT_A_THING where that is none; tokens, targets and marks (B, Q, L) int64, see
    `AskedText`.
    """

    frames: Tensor
    gaze: Tensor
    gazed: Tensor
    places: Tensor
    shown: Tensor
    kinds: Tensor
    colours: Tensor
    watched: Tensor
    tokens: Tensor
    targets: Tensor
    marks: Tensor
    tasks: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One clip of S steps: fields as in `ClipBatch`, without the first axis."""

    frames: NDArray[np.uint8]
    gaze: NDArray[np.float32]
    gazed: NDArray[np.bool_]
    places: NDArray[np.float32]
    shown: NDArray[np.bool_]
    things: tuple[Thing, ...]
    watched: int | None
    questions: list[TaskQuestion]


AskAbout = Callable[
    [np.random.Generator, Wearer, NDArray[np.float64], NDArray[np.bool_]],
    list[TaskQuestion] | None,
]
"""Asks about a wearer at the end of a clip with steps at these times, some with gaze; or can't."""


class ClipStream(IterableDataset):
    """Batches from `first` on, each a function of the seed and its number alone."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        seed: tuple[int, ...],
        first: int = 0,
        drawn: DrawnClips | None = None,
        hints: float = 0.0,
        hinted_batches: int = 0,
    ) -> None:
        """`hints`: share of questions with a hint at first; none after `hinted_batches`."""
        super().__init__()
        self._writer = PromptWriter(tokenizer)
        self._seed = seed
        self._first = first
        self._drawn = drawn or DrawnClips()
        self._hints = hints
        self._hinted = hinted_batches

    def __iter__(self) -> Iterator[ClipBatch]:
        number = self._first
        while True:
            yield self.batch(number)
            number += 1

    def batch(self, number: int) -> ClipBatch:
        """The batch of a number."""
        random = np.random.default_rng((*self._seed, number))
        lengths = self._drawn.lengths
        length = lengths[random.choice(len(lengths), p=[each.share for each in lengths])]
        steps = int(random.integers(length.fewest, length.most + 1))
        ask = partial(_questions, count=self._drawn.questions, alerts=self._drawn.alerts)
        clips = [draw_clip(random, steps, ask) for _ in range(length.clips)]
        hinted = self._hints * max(0.0, 1 - number / max(self._hinted, 1))
        asked = [
            [self._writer.ask(question, random.random() < hinted) for question in clip.questions]
            for clip in clips
        ]
        return collate(clips, asked)


def draw_clip(random: np.random.Generator, steps: int, ask: AskAbout) -> Clip:
    """A clip of a new wearer about whose end `ask` has questions."""
    while True:
        start = float(random.uniform(0.3, 4.0))
        times = start + STEP_GAP * np.arange(steps)
        if steps > 1:
            times[-1] -= random.uniform(0, STEP_GAP - 0.05)
        wearer = Wearer(int(random.integers(1 << 62)), float(times[-1]) + 2.0)
        fine = bool(random.random() < 0.5)
        gaze, gazed = _gaze(wearer, times, fine)
        asked = ask(random, wearer, times, gazed)
        if asked is not None:
            break
    places = np.zeros((steps, MOST_THINGS, 2), np.float32)
    shown = np.zeros((steps, MOST_THINGS), np.bool_)
    for place, thing in enumerate(wearer.scene.things):
        spot = np.array([[thing.x], [thing.y]])
        places[:, place] = wearer.head.seen(spot, times).T
        shown[:, place] = times >= thing.appears
    frames = _frames(random, wearer, times)
    watched = wearer.moment(float(times[-1])).gaze if gazed[-1] else None
    return Clip(frames, gaze, gazed, places, shown, wearer.scene.things, watched, asked)


def collate(clips: list[Clip], asked: list[list[AskedText]]) -> ClipBatch:
    """Stack clips of the same number of steps."""
    kinds = np.zeros((len(clips), MOST_THINGS), np.int64)
    colours = np.zeros_like(kinds)
    names = tuple(COLOURS)
    for row, clip in enumerate(clips):
        for place, thing in enumerate(clip.things):
            kinds[row, place] = KINDS.index(thing.kind)
            colours[row, place] = names.index(thing.colour)

    def stacked(field: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(clip, field) for clip in clips]))

    return ClipBatch(
        frames=stacked("frames"),
        gaze=stacked("gaze"),
        gazed=stacked("gazed"),
        places=stacked("places"),
        shown=stacked("shown"),
        kinds=torch.from_numpy(kinds),
        colours=torch.from_numpy(colours),
        watched=torch.tensor(
            [NOT_A_THING if clip.watched is None else clip.watched for clip in clips]
        ),
        **padded(asked),
        tasks=tuple(tuple(question.task for question in clip.questions) for clip in clips),
    )


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


def _questions(
    random: np.random.Generator,
    wearer: Wearer,
    times: NDArray[np.float64],
    gazed: NDArray[np.bool_],
    *,
    count: int,
    alerts: float,
) -> list[TaskQuestion] | None:
    """Questions about the clip's end; None where there are too few to ask."""
    moment = wearer.moment(float(times[-1]), float(times[0]))
    weights = PRESENT | {GTA: alerts}
    if gazed[-1]:
        if len(times) > 2 and seen_in_steps(wearer, times, gazed) == moment.looked_at:
            weights |= PAST
    else:
        if random.random() < 0.8:
            return None
        moment = replace(moment, gaze=None)
        del weights[FREE]
    tasks = list(weights)
    shares = np.array([weights[task] for task in tasks])
    asked: list[TaskQuestion] = []
    for _ in range(8 * count):
        task = tasks[random.choice(len(tasks), p=shares / shares.sum())]
        question = (spoken if task == FREE else ASKERS[task])(random, moment)
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
