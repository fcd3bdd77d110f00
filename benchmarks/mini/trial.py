"""One clip after the other through a bundle's graphs: every question under every condition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.mini.held_out import ClipPair, fixations_of, worded
from devices.samples import Fixation
from export.mini.sizes import GRID, MOST_STEPS
from runtime.gaze_encoding import gaze_encoding
from runtime.models import Models
from runtime.questions import QUESTION_TOKENS, Asker
from runtime.stopwatch import Stopwatch

CONDITIONS = ("gaze", "shuffled gaze", "no gaze")


@dataclass(frozen=True, slots=True)
class Judged:
    """One question: the right letter, and the letter answered under each of CONDITIONS."""

    task: str
    steps: int
    right: str
    answers: tuple[str, ...]

    def is_right(self, condition: int) -> bool:
        """Whether it was answered right under a condition."""
        return self.answers[condition] == self.right


class Trial:
    """Asks the questions of clips. `models`: a bundle's engines, or PyTorch in their place."""

    def __init__(self, models: Models) -> None:
        self._models = models
        geometry = models.bundle.manifest.geometry
        self._clip_frames = geometry.vjepa.frames
        self._width = geometry.resampler.width
        tokens = MOST_STEPS * GRID * GRID + QUESTION_TOKENS
        capacity = len(models.bundle.manifest.prompt.before_video) + tokens
        self._context = models.context((GRID, GRID), capacity)
        self._asker = Asker(models.bundle)

    def judge(self, pair: ClipPair) -> Iterator[Judged]:
        """Every question about the pair's first clip."""
        clip = pair.clip
        visual = [self._models.visual(frames) for frames in clip.frames]
        scenes = []
        for older, newer in clip.frames:
            features = self._models.features(np.stack([older, *[newer] * (self._clip_frames - 1)]))
            scenes.append(self._models.scene(features, 0, 1, (GRID, GRID)))
        conditions = (fixations_of(clip), fixations_of(pair.other), None)
        answers = [self._answers(pair, visual, scenes, each) for each in conditions]
        for question, *letters in zip(clip.questions, *answers, strict=True):
            yield Judged(question.task, len(visual), question.answer, tuple(letters))

    def _answers(
        self,
        pair: ClipPair,
        visual: Sequence,
        scenes: Sequence,
        gaze: Sequence[tuple[Fixation, ...]] | None,
    ) -> list[str]:
        self._context.clear()
        for step, seen in enumerate(visual):
            residuals = None
            if gaze is not None:
                encoding = gaze_encoding(gaze[step], self._width)
                residuals = self._models.residuals(scenes[step], encoding)
            self._context.append_step(seen, residuals)
        return [
            self._asker.ask(worded(question), self._context, Stopwatch()).text
            for question in pair.clip.questions
        ]
