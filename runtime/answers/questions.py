"""Questions as text for the model, and its answers read back.

Source of the wording: the GazeQwen release (arXiv 2603.25841).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from devices.samples import KnownQuestion
from runtime.bundle.manifest import PromptPieces
from runtime.bundle.opening import Bundle
from runtime.errors import QuestionError
from runtime.model.context import Context
from runtime.stopwatch import Stopwatch

ALERT_SUFFIX = " Based on the video so far, should the alert be triggered?"
YES_NO = ("Yes", "No")
HALTED = "the run was ended before the answer was complete"
QUESTION_TOKENS = 512  # room for a question's text in every context
LETTERS = "ABCDEFGH"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. Without `options` the answer is free text. `truth`: the right one, if known.

    `letters`: how many letters the arg-max runs over; None for as many as there are options.
    """

    text: str
    options: tuple[str, ...] = ()
    truth: str | None = None
    letters: int | None = None

    def prompt(self) -> str:
        """The text of the user's turn."""
        if not self.options:
            return self.text
        lines = "\n".join(
            _lettered(letter, option) for letter, option in zip(LETTERS, self.options, strict=False)
        )
        return f"Question: {self.text}\nOptions:\n{lines}\n\nThe best option is:"


@dataclass(frozen=True, slots=True)
class Answer:
    """A letter with the probability of each, or free text; `ttft_ms` from the start of asking."""

    text: str
    probabilities: dict[str, float] | None
    ttft_ms: float


def alert_question(text: str, truth: str | None = None) -> Question:
    """A standing question, as a Yes or No."""
    return Question(text + ALERT_SUFFIX, YES_NO, truth)


def known_question(sample: KnownQuestion) -> Question:
    """A question that its source asks itself, knowing the answer."""
    if sample.task.startswith("proactive_"):
        return alert_question(sample.text, sample.answer)
    return Question(sample.text, sample.options, sample.answer)


def question_tokens(
    tokenizer: Tokenizer, prompt: PromptPieces, question: Question
) -> NDArray[np.int64]:
    """The tokens of a question, from the end of the video to the opening of the answer."""
    ids = tokenizer.encode(question.prompt(), add_special_tokens=False).ids
    return np.array([*prompt.after_video, *ids, *prompt.before_answer], np.int64)


class Asker:
    """Asks questions in a context and leaves it as it was."""

    def __init__(self, bundle: Bundle) -> None:
        self._tokenizer = bundle.tokenizer
        self._prompt = bundle.manifest.prompt
        self._most_tokens = bundle.manifest.settings.max_new_tokens
        self._halted = False

    def halt(self) -> None:
        """Answer nothing more, as soon as the running graph is done; any thread may say so."""
        self._halted = True

    def check(self, question: Question) -> None:
        """Raise QuestionError for a question that can't be asked."""
        if not question.text.strip():
            raise QuestionError("the question is empty: write what to ask")
        if len(question.options) == 1 or len(question.options) > len(self._prompt.letters):
            raise QuestionError(
                f"{len(question.options)} options: give 2 to {len(self._prompt.letters)}, or none"
            )
        if (count := len(self.tokens(question))) > QUESTION_TOKENS:
            raise QuestionError(
                f"the question is {count} tokens long, at most {QUESTION_TOKENS} fit: "
                "ask a shorter question"
            )

    def tokens(self, question: Question) -> NDArray[np.int64]:
        """The tokens that follow the video: the text and the opening of the answer."""
        return question_tokens(self._tokenizer, self._prompt, question)

    def ask(
        self,
        question: Question,
        context: Context,
        watch: Stopwatch,
        on_text: Callable[[str], None] = lambda piece: None,
    ) -> Answer:
        """Ask in `context`, then rewind it. `on_text` hears of free text as it is generated.

        Raises QuestionError for a question that can't be asked, or not any more.
        """
        self.check(question)
        self._go_on()
        mark = context.mark()
        try:
            with watch.stage("question"):
                logits = context.append_text(self.tokens(question))
            if question.options:
                return self._choose(question, logits, watch)
            return self._generate(context, logits, watch, on_text)
        finally:
            context.rewind(mark)

    def _choose(self, question: Question, logits: NDArray[np.float32], watch: Stopwatch) -> Answer:
        letters = LETTERS[: question.letters or len(question.options)]
        scores = logits[[self._prompt.letters[letter] for letter in letters]].astype(np.float64)
        weights = np.exp(scores - scores.max())
        shares = weights / weights.sum()
        best = letters[int(scores.argmax())]
        chances = {letter: float(share) for letter, share in zip(letters, shares, strict=True)}
        return Answer(best, chances, watch.elapsed_ms)

    def _generate(
        self,
        context: Context,
        logits: NDArray[np.float32],
        watch: Stopwatch,
        on_text: Callable[[str], None],
    ) -> Answer:
        chosen: list[int] = []
        shown, first_at = "", watch.elapsed_ms
        while len(chosen) < self._most_tokens:
            token = int(logits.argmax())
            if token in self._prompt.stop:
                break
            chosen.append(token)
            text = self._tokenizer.decode(chosen)
            if not text.endswith("\ufffd"):  # else a character is not complete yet
                on_text(text[len(shown) :])
                shown = text
            if context.room == 0:
                break
            self._go_on()
            with watch.stage("decode"):
                logits = context.append_text(np.array([token], np.int64))
        return Answer(self._tokenizer.decode(chosen), None, first_at)

    def _go_on(self) -> None:
        if self._halted:
            raise QuestionError(HALTED)


def _lettered(letter: str, option: str) -> str:
    """An option that already starts with its letter is not prefixed again."""
    return option if re.match(rf"{letter}[.)]", option.strip()) else f"{letter}. {option}"


def bare(options: Sequence[str], letter: str) -> str:
    """The text of the option that a letter names, without the letter."""
    return re.sub(r"^[A-H][.)]\s*", "", options[LETTERS.index(letter)].strip())
