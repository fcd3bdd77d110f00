"""Clips in batches, drawn by number. All clips of a batch have the same number of steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import IterableDataset

from devices.synthetic.shapes import COLOURS, KINDS
from export.mini.world.clip_plan import DrawnClips
from export.mini.world.clips import MOST_THINGS, Clip, draw_takes, questions_at_the_end
from export.mini.world.prompts import NOT_A_THING, AskedText, PromptWriter, padded


@dataclass(frozen=True, slots=True, eq=False)
class ClipBatch:
    """B clips of S steps with Q questions each; B / F of them in a row share the same frames.

    frames (F, S, 2, FRAME, FRAME, 3) uint8, older then newer; gaze (B, S, 2) in fractions of the
    frame and gazed (B, S) bool; places (B, S, T, 2), shown (B, S, T) bool, kinds and colours
    (B, T) int64 of up to T things; watched (B,) int64, the place among the things of what is looked
    at in the end, NOT_A_THING where that is none; tokens, targets, marks, named and
    beside (B, Q, L) int64, see `AskedText`.
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
    named: Tensor
    beside: Tensor
    tasks: tuple[tuple[str, ...], ...]

    @property
    def films(self) -> ClipBatch:
        """The first clip of each film alone."""
        per_clip = ("gaze", "gazed", "places", "shown", "kinds", "colours", "watched")
        return replace(self, **{name: getattr(self, name)[:: self.takes] for name in per_clip})

    @property
    def takes(self) -> int:
        """How many clips share the same frames."""
        return self.gazed.shape[0] // self.frames.shape[0]


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
        weights = self._drawn.weights(number)
        ask = partial(questions_at_the_end, count=self._drawn.questions, weights=weights)
        clips = [
            clip
            for _ in range(length.films)
            for clip in draw_takes(random, steps, ask, length.takes)
        ]
        hinted = self._hints * max(0.0, 1 - number / max(self._hinted, 1))
        asked = [
            [
                self._writer.ask(question, clip.names, random.random() < hinted)
                for question in clip.questions
            ]
            for clip in clips
        ]
        return collate(clips, asked, length.takes)


def collate(clips: list[Clip], asked: list[list[AskedText]], takes: int = 1) -> ClipBatch:
    """Stack clips of the same number of steps; every `takes` of them have the same frames."""
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
        frames=torch.from_numpy(np.stack([clip.frames for clip in clips[::takes]])),
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
