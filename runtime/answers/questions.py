"""Questions as text for the model, and its answers read back.

Source of the wording: the GazeQwen release (arXiv 2603.25841).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from devices.samples import KnownQuestion
from runtime.answers.spelling import Spelling
from runtime.bundle.manifest import PromptPieces
from runtime.bundle.opening import Bundle
from runtime.errors import QuestionError
from runtime.model.context import Context
from runtime.stopwatch import Stopwatch

ALERT_SUFFIX = " Based on the video so far, should the alert be triggered?"
YES_NO = ("Yes", "No")
HALTED = "the run was ended before the answer was complete"
WITHDRAWN = "whoever asked has left before the answer was complete"
QUESTION_TOKENS = 512  # room for a question's text in every context
QUESTION_CHARACTERS = 64 * QUESTION_TOKENS  # more are not even brought to tokens
LETTERS = "ABCDEFGH"


class Ticket:
    """Ties a question to whoever waits for its answer, and may leave before it comes.

    `on_piece` hears of free text as it is generated. It is called in the decoder's thread and must
    return at once.
    """

    def __init__(self, on_piece: Callable[[str], None] = lambda piece: None) -> None:
        self.on_piece = on_piece
        self.is_withdrawn = False

    def withdraw(self) -> None:
        """Nobody waits any more: the answer ends with the running graph. Any thread may say so."""
        self.is_withdrawn = True


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. Without `options` the answer is free text. `truth`: the right one, if known.

    `letters`: how many letters the arg-max runs over; None for as many as there are options.
    `compares`: whether the same steps are asked without gaze as well. `ticket`: of whoever waits.
    """

    text: str
    options: tuple[str, ...] = ()
    truth: str | None = None
    letters: int | None = None
    compares: bool = False
    ticket: Ticket | None = field(default=None, compare=False)

    def prompt(self) -> str:
        """The text of the user's turn."""
        if not self.options:
            return self.text
        lines = "\n".join(lettered(self.options))
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

    def __init__(self, bundle: Bundle, marks: bool = False) -> None:
        """`marks`: whether the model's own marks, where a text holds them, count as such, as they
        do in the released code; else everything that was typed is text."""
        self._tokenizer = bundle.tokenizer if marks else bundle.text_tokenizer
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
        texts = question.text, *question.options
        if not all(text.strip() for text in texts):
            raise QuestionError("an option is empty: write out every one")
        if any(text != well_formed(text) for text in texts):
            raise QuestionError("the question holds bytes that are no text: write it in UTF-8")
        if (length := sum(map(len, texts))) > QUESTION_CHARACTERS:
            raise QuestionError(
                f"the question is {length} characters long, at most {QUESTION_CHARACTERS} fit: "
                "ask a shorter question"
            )
        if (count := len(self.tokens(question))) > QUESTION_TOKENS:
            raise QuestionError(
                f"the question is {count} tokens long, at most {QUESTION_TOKENS} fit: "
                "ask a shorter question"
            )

    def tokens(self, question: Question) -> NDArray[np.int64]:
        """The tokens that follow the video: the text and the opening of the answer."""
        return question_tokens(self._tokenizer, self._prompt, question)

    def is_marked(self, question: Question) -> bool:
        """Whether its text holds marks of the model that count as such."""
        marks = self._tokenizer.get_added_tokens_decoder().values()
        return any(mark.content in question.prompt() for mark in marks)

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
        self._go_on(question)
        mark = context.mark()
        try:
            with watch.stage("question"):
                logits = context.append_text(self.tokens(question))
            if question.options:
                return self._choose(question, logits, watch)
            return self._generate(question, context, logits, watch, on_text)
        finally:
            context.rewind(mark)

    def _choose(self, question: Question, logits: NDArray[np.float32], watch: Stopwatch) -> Answer:
        letters = LETTERS[: question.letters or len(question.options)]
        shares = letter_shares(logits, self._prompt, len(letters))
        chances = {letter: float(share) for letter, share in zip(letters, shares, strict=True)}
        return Answer(letters[int(shares.argmax())], chances, watch.elapsed_ms)

    def _generate(
        self,
        question: Question,
        context: Context,
        logits: NDArray[np.float32],
        watch: Stopwatch,
        on_text: Callable[[str], None],
    ) -> Answer:
        spelling, first_at = Spelling(self._tokenizer, on_text), watch.elapsed_ms
        for _ in range(self._most_tokens):
            token = int(logits.argmax())
            if token in self._prompt.stop:
                break
            spelling.add(token)
            if context.room == 0:
                break
            self._go_on(question)
            with watch.stage("decode"):
                logits = context.append_text(np.array([token], np.int64))
        return Answer(spelling.end(), None, first_at)

    def _go_on(self, question: Question) -> None:
        if self._halted:
            raise QuestionError(HALTED)
        if question.ticket is not None and question.ticket.is_withdrawn:
            raise QuestionError(WITHDRAWN)


def letter_shares(
    logits: NDArray[np.float32], prompt: PromptPieces, count: int
) -> NDArray[np.float64]:
    """The probabilities of the first `count` letters among them: (count,), of (vocabulary,)."""
    scores = logits[[prompt.letters[letter] for letter in LETTERS[:count]]].astype(np.float64)
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def lettered(options: Sequence[str]) -> tuple[str, ...]:
    """The options, each behind its letter. Those that all bring their letters keep them."""
    if all(
        re.match(rf"{letter}[.)]\s", option.lstrip())
        for letter, option in zip(LETTERS, options, strict=False)
    ):
        return tuple(options)
    return tuple(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))


def well_formed(text: str) -> str:
    """The text with U+FFFD for every surrogate that has no partner, which no encoding takes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
