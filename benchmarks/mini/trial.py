"""One clip after the other through a bundle's graphs: every question under every condition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.mini.held_out import ClipPair, fixations_of, worded
from benchmarks.mini.remembered import steps_ago
from devices.samples import Fixation
from devices.synthetic.questions import TaskQuestion
from export.mini.sizes import GRID, MOST_STEPS
from runtime.answers.questions import QUESTION_TOKENS, Asker
from runtime.engines.tensors import Tensor
from runtime.inputs.gaze_encoding import gaze_encoding
from runtime.model.models import Models
from runtime.stopwatch import Stopwatch

Asked = TypeVar("Asked")
CONDITIONS = ("gaze", "shuffled gaze", "no gaze")


@dataclass(frozen=True, slots=True)
class Judged:
    """One question: the right letter, and the letter answered under each of CONDITIONS.

    `steps_ago`: of the look that has to be remembered, None for what is not about the past.
    """

    task: str
    steps: int
    right: str
    answers: tuple[str, ...]
    steps_ago: int | None = None

    def is_right(self, condition: int) -> bool:
        """Whether it was answered right under a condition."""
        return self.answers[condition] == self.right


class Trial:
    """Asks the questions of clips. `models`: a bundle's engines, or PyTorch in their place."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self.letter_tokens = tuple(models.bundle.manifest.prompt.letters.values())
        geometry = models.bundle.manifest.geometry
        self._width = geometry.resampler.width
        tokens = MOST_STEPS * GRID * GRID + QUESTION_TOKENS
        capacity = len(models.bundle.manifest.prompt.before_video) + tokens
        self._context = models.context((GRID, GRID), capacity)
        self._asker = Asker(models.bundle)

    def judge(self, pair: ClipPair) -> Iterator[Judged]:
        """Every question about the pair's first clip."""
        questions = pair.clip.questions
        answers = self._under_all_conditions(pair, self._letter)
        for question, *letters in zip(questions, *answers, strict=True):
            ago = steps_ago(pair.clip, question)
            steps = len(pair.clip.frames)
            yield Judged(question.task, steps, question.answer, tuple(letters), ago)

    def logits(self, pair: ClipPair) -> Iterator[tuple[TaskQuestion, NDArray[np.float32]]]:
        """Every question about the pair's first clip with its logits (conditions, vocabulary)."""
        rows = self._under_all_conditions(pair, self._row)
        for question, *logits in zip(pair.clip.questions, *rows, strict=True):
            yield question, np.stack(logits)

    def _under_all_conditions(
        self, pair: ClipPair, ask: Callable[[TaskQuestion], Asked]
    ) -> list[list[Asked]]:
        """What `ask` gives for every question with the steps in the context, by condition."""
        clip = pair.clip
        visual = [self._models.visual(frames) for frames in clip.frames]
        scenes = []
        for pair_of_frames in clip.frames:
            features = self._models.features(pair_of_frames, 1)
            scenes.append(self._models.scene(features, 0, 1, (GRID, GRID)))
        found = []
        for gaze in (fixations_of(clip), fixations_of(pair.other), None):
            self._fill(visual, scenes, gaze)
            found.append([ask(question) for question in clip.questions])
        return found

    def _fill(
        self,
        visual: Sequence[Tensor],
        scenes: Sequence[Tensor],
        gaze: Sequence[tuple[Fixation, ...]] | None,
    ) -> None:
        self._context.clear()
        for step, seen in enumerate(visual):
            residuals = None
            if gaze is not None:
                encoding = gaze_encoding(gaze[step], self._width)
                residuals = self._models.residuals(scenes[step], encoding)
            self._context.append_step(seen, residuals)

    def _letter(self, question: TaskQuestion) -> str:
        return self._asker.ask(worded(question), self._context, Stopwatch()).text

    def _row(self, question: TaskQuestion) -> NDArray[np.float32]:
        mark = self._context.mark()
        logits = self._context.append_text(self._asker.tokens(worded(question)))
        self._context.rewind(mark)
        return logits
