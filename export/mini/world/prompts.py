"""Questions as tokens: the wording is the runtime's own, the tokenizer learns it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from devices.synthetic.questions import (
    ACTIONS,
    ALL_NAMES,
    GSM,
    GTA,
    LETTERS,
    OAA,
    OTP,
    SR,
    TaskQuestion,
)
from devices.synthetic.wordings import IDENTITY, every_wording
from export.random.tokenizer import (
    AFTER_VIDEO,
    BEFORE_ANSWER,
    BEFORE_VIDEO,
    TURN_END,
    train_tokenizer,
)
from runtime.answers.questions import Question, alert_question

OPTIONS = "Options:\n"
IGNORED = -100  # a target that no loss is computed for
NOT_A_THING = -1
IN_ORDER = 3  # names in every option of a question about an order
NAME = re.compile("|".join(ALL_NAMES))


@dataclass(frozen=True, slots=True)
class AskedText:
    """A question and its answer as tokens; `targets[i]` is what follows `tokens[i]`.

    `marks[i]`, at the token that ends an option: 1 if the option is right, else 0. `named[i]`, at
    the token that ends a thing's name: its place among the things, NOT_A_THING for one that is not
    among them. `beside[i]`, there too: the token that ends the name which it is asked about
    together with ("right after the red cup", or the one before it in an order).
    """

    tokens: tuple[int, ...]
    targets: tuple[int, ...]
    marks: tuple[int, ...]
    named: tuple[int, ...]
    beside: tuple[int, ...]


def prompt_of(question: TaskQuestion) -> str:
    """The text of the user's turn."""
    if question.task in (GTA, OAA):
        return alert_question(question.text).prompt()
    return Question(question.text, question.options).prompt()


class PromptWriter:
    """Encodes what surrounds the video. The same texts come again and again."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}
        self.before_video = tuple(self._ids(BEFORE_VIDEO))

    def ask(
        self, question: TaskQuestion, things: Sequence[str] = (), hinted: bool = False
    ) -> AskedText:
        """Everything after the video, the answer included.

        `things`: the names of those on the table. `hinted`: what is to be seen, told.
        """
        hint = f"{question.hint}\n" if hinted and question.hint else ""
        prompt = hint + prompt_of(question)
        before, after = self._ids(AFTER_VIDEO), self._ids(BEFORE_ANSWER)
        encoded = self._tokenizer.encode(prompt, add_special_tokens=False)
        asked = [*before, *encoded.ids, *after]
        answer = [*self._ids(question.answer), *self._ids(TURN_END)]
        tokens = [*asked, *answer[:-1]]
        targets = [IGNORED] * (len(asked) - 1) + answer
        marks, named, beside = ([IGNORED] * len(tokens) for _ in range(3))
        for letter, end in option_ends(prompt, question):
            token = encoded.char_to_token(end)
            marks[len(before) + token] = int(letter == question.answer)
        for mention in mentions(prompt, question, len(hint)):
            place = len(before) + encoded.char_to_token(mention.end - 1)
            named[place] = things.index(mention.name) if mention.name in things else NOT_A_THING
            if mention.beside is not None:
                beside[place] = len(before) + encoded.char_to_token(mention.beside - 1)
        return AskedText(*(tuple(each) for each in (tokens, targets, marks, named, beside)))

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids


@dataclass(frozen=True, slots=True)
class Mention:
    """A thing's whole name in a prompt, up to the character before `end`.

    `beside`: the end of the name that it is asked about together with, None for none.
    """

    name: str
    end: int
    beside: int | None


def mentions(prompt: str, question: TaskQuestion, start: int = 0) -> Iterator[Mention]:
    """The names in a prompt from character `start` on."""
    found = list(NAME.finditer(prompt, start))
    for place, match in enumerate(found):
        beside = None
        if place and question.task in (OTP, SR):
            beside = found[0].end()
        elif question.task == GSM and place % IN_ORDER:
            beside = found[place - 1].end()
        yield Mention(match.group(), match.end(), beside)


def option_ends(prompt: str, question: TaskQuestion) -> Iterator[tuple[str, int]]:
    """The letter of each option, and where in the prompt the line break after it is."""
    end = prompt.rindex(OPTIONS) + len(OPTIONS) if question.options else 0
    for letter, option in zip(LETTERS, question.options, strict=False):
        end += len(f"{letter}. {option}")
        yield letter, end
        end += 1


def padded(asked: list[list[AskedText]]) -> dict[str, Tensor]:
    """Fields of `AskedText` of several clips: each (clips, questions, length) int64."""
    length = max(len(each.tokens) for clip in asked for each in clip)
    shape = (len(asked), len(asked[0]), length)
    fields = {"tokens": 0} | dict.fromkeys(("targets", "marks", "named", "beside"), IGNORED)
    rows = {name: np.full(shape, blank, np.int64) for name, blank in fields.items()}
    for clip, questions in enumerate(asked):
        for place, each in enumerate(questions):
            for name, row in rows.items():
                values = getattr(each, name)
                row[clip, place, : len(values)] = values
    return {name: torch.from_numpy(row) for name, row in rows.items()}


def mini_tokenizer(vocabulary: int) -> Tokenizer:
    """The tokenizer of everything that is ever said about the synthetic world."""
    return train_tokenizer(_corpus(), vocabulary)


def _corpus() -> Iterator[str]:
    yield from [BEFORE_VIDEO, AFTER_VIDEO, BEFORE_ANSWER] * 20
    for wording in every_wording():
        for name in ALL_NAMES:
            text = wording.format(name)
            yield alert_question(text).prompt()
            yield Question(text, (name, f"the {name}", "cup", "red")).prompt()
    for name in ALL_NAMES:
        yield from (f"a {name}", f"I am looking at the {name}.", f"something {name}", "the table")
        yield from ACTIONS.values()
        yield from IDENTITY
