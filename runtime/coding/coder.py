"""What a fixation is on: one step in a context of its own, then the question.

The context holds what a fresh one would: the step, and the question's text after it. Work comes in
pieces of one run of a graph each, so that whoever has something more urgent can do it in between.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from runtime.answers.questions import QUESTION_TOKENS, Asker, Question, letter_shares
from runtime.coding.question import NONE_LISTED, CodingQuestion, one_name
from runtime.errors import QuestionError
from runtime.model.context import Context, Mark
from runtime.model.models import Models
from runtime.stream.steps import Step

ALSO = 0.2  # a thing this probable beside the first one is named, too
YES = 0
LIKELY = 0.5
LEAST_LETTERS = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """What a fixation is on. `thing`: its name; None where nothing was said.

    `confidence`: the probability of that name, in [0, 1]. `chances`: of each listed thing, that it
    is looked at; empty for free text. `also`: others that are probable. `said`: free text as given.
    """

    thing: str | None
    confidence: float
    chances: dict[str, float]
    also: tuple[str, ...] = ()
    said: str | None = None


Pieces = Generator[None, None, Decision]
Chances = Generator[None, None, NDArray[np.float64]]


class Coder:
    """Codes one fixation after the other. Not shared between threads.

    Listed things are chosen by their letters, as many at a time as the bundle has letters; of more,
    the winners meet again, and what the rounds say is multiplied, so that all probabilities add up
    to one. The part of the text that the rounds have in common is prefilled once.
    """

    def __init__(self, models: Models, grid: tuple[int, int], question: CodingQuestion) -> None:
        """Raises QuestionError for a question that can't be asked."""
        manifest = models.bundle.manifest
        self._prompt = manifest.prompt
        self._question = question
        self._asker = Asker(models.bundle)
        self._tokenizer = models.bundle.text_tokenizer
        self._most_tokens = manifest.settings.max_new_tokens
        self._most = len(self._prompt.letters)
        self._check(question)
        tokens = grid[0] * grid[1] + QUESTION_TOKENS + self._most_tokens
        self._context: Context = models.context(grid, len(self._prompt.before_video) + tokens)
        self._shared = self._common_prefix(question)
        self._shared_mark: Mark | None = None

    def code(self, step: Step) -> Decision:
        """What the fixations of a step are on. Raises NotFiniteError."""
        pieces = self.pieces(step)
        while True:
            try:
                next(pieces)
            except StopIteration as ended:
                return ended.value

    def pieces(self, step: Step) -> Pieces:
        """The same, stopping after each run of a graph; begun anew, nothing of it remains."""
        context = self._context
        context.clear()
        self._shared_mark = None
        context.append_step(step.visual, step.residuals)
        yield
        mark = context.mark()
        if not self._question.things:
            return (yield from self._named(mark))
        things = self._question.things
        shares = np.ones(1) if len(things) == 1 else (yield from self._shares(things, mark))
        best = int(shares.argmax())
        if not self._question.checks:
            return _decision(things, shares, best)
        yes = yield from self._letters(self._question.check(things[best]), mark)
        if yes[YES] >= LIKELY:
            return _decision(things, shares * yes[YES], best)
        return (yield from self._denied(shares, best, float(yes[YES]), mark))

    def _denied(
        self, shares: NDArray[np.float64], best: int, yes: float, mark: Mark
    ) -> Generator[None, None, Decision]:
        """It is not what was chosen: each of the next most probable is asked about likewise."""
        things = self._question.things
        chances = np.zeros(len(things))
        chances[best] = yes
        for place in np.argsort(-shares, kind="stable")[: self._most]:
            if place != best:
                said = yield from self._letters(self._question.check(things[place]), mark)
                chances[place] = said[YES]
        found = int(chances.argmax())
        if chances[found] < LIKELY:
            none = float(np.prod(1 - chances))
            return Decision(NONE_LISTED, none, dict(zip(things, chances.tolist(), strict=True)))
        return _decision(things, chances / max(1.0, float(chances.sum())), found)

    def _shares(self, things: Sequence[str], mark: Mark) -> Chances:
        """The probability of each thing among these."""
        groups = even_groups(things, self._most)
        inner = []
        for group in groups:
            inner.append((yield from self._letters(self._question.about(group), mark)))
        if len(groups) == 1:
            return inner[0]
        winners = [group[int(shares.argmax())] for group, shares in zip(groups, inner, strict=True)]
        outer = yield from self._shares(winners, mark)
        parts = [share * shares for share, shares in zip(outer, inner, strict=True)]
        return np.concatenate(parts)

    def _letters(self, question: Question, mark: Mark) -> Chances:
        """The probability of each letter after a question."""
        logits = self._logits(self._asker.tokens(question), mark)
        yield
        return letter_shares(logits, self._prompt, len(question.options))

    def _logits(self, tokens: NDArray[np.int64], mark: Mark) -> NDArray[np.float32]:
        shared = self._shared
        if shared.size == 0 or not np.array_equal(tokens[: shared.size], shared):
            self._shared_mark = None  # what is appended now takes its place
            self._context.rewind(mark)
            return self._context.append_text(tokens)
        if self._shared_mark is None:
            self._context.rewind(mark)
            self._context.append_text(shared, wanted=False)
            self._shared_mark = self._context.mark()
        self._context.rewind(self._shared_mark)
        return self._context.append_text(tokens[shared.size :])

    def _named(self, mark: Mark) -> Pieces:
        """Free text, and how probable it was, word for word."""
        logits = self._logits(self._asker.tokens(self._question.about(())), mark)
        yield
        chosen: list[int] = []
        confidence = 1.0
        while True:
            token = int(logits.argmax())
            confidence *= float(1 / np.exp(logits.astype(np.float64) - logits[token]).sum())
            if token in self._prompt.stop or len(chosen) == self._most_tokens:
                break
            chosen.append(token)
            logits = self._context.append_text(np.array([token], np.int64))
            yield
        said = self._tokenizer.decode(chosen)
        return Decision(one_name(said) or None, confidence, {}, said=said)

    def _check(self, question: CodingQuestion) -> None:
        if len(question.things) == 1 and not question.checks:
            raise QuestionError(
                "a list of one thing leaves nothing to choose: leave out --check no, or add a thing"
            )
        if self._most < LEAST_LETTERS:
            raise QuestionError("the bundle knows no letters to choose by: leave out --things")
        for group in even_groups(question.things, self._most):
            if len(group) > 1:
                self._asker.check(question.about(group))
        if question.things and question.checks:
            for thing in question.things:
                self._asker.check(question.check(thing))
        if not question.things:
            self._asker.check(question.about(()))

    def _common_prefix(self, question: CodingQuestion) -> NDArray[np.int64]:
        """The tokens that all rounds begin with; none where there is only one."""
        groups = even_groups(question.things, self._most)
        if len(groups) < 2:
            return np.zeros(0, np.int64)
        texts = [self._asker.tokens(question.about(group)) for group in groups]
        shortest = min(text.size for text in texts)
        same = np.array([text[:shortest] == texts[0][:shortest] for text in texts]).all(axis=0)
        return texts[0][: int(np.append(same, False).argmin())]


def even_groups(things: Sequence[str], most: int) -> list[Sequence[str]]:
    """The things in order, in as few groups of at most `most` as there can be, alike in size."""
    count = -(-len(things) // most)
    edges = [round(place * len(things) / count) for place in range(count + 1)] if count else []
    return [things[first:last] for first, last in pairwise(edges)]


def _decision(things: Sequence[str], shares: NDArray[np.float64], best: int) -> Decision:
    """The best thing, and those beside it that are probable, too."""
    chances = dict(zip(things, shares.tolist(), strict=True))
    also = [thing for thing in things if thing != things[best] and chances[thing] >= ALSO]
    also.sort(key=lambda thing: -chances[thing])
    return Decision(things[best], chances[things[best]], chances, tuple(also))
