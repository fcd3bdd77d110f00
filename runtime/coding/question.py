"""What is asked about every fixation, in one place, and the names that answers are brought to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from devices.printable import printable
from runtime.answers.questions import Question, alert_question
from runtime.errors import QuestionError

WORDING = "What am I looking at?"
CHECK = "Tell me when I look at the {}."
NONE_LISTED = "none of these"
# A name less probable is unsure. On ten drawn wearers that no table is of, the lowest of 0.5, 0.55
# and so on up to 0.95 with which 99 of 100 coded fixations were right.
THRESHOLD = 0.9
MOST_THINGS = 1000
LONGEST_NAME = 200  # characters

_LEAD = re.compile(
    r"^(?:(?:i am|i'm|you are|you're|the user is|the wearer is|they are)\s+"
    r"(?:currently\s+)?(?:looking|gazing)\s+at|(?:this|that|it)\s+is|it's)\s+"
)
_ARTICLE = re.compile(r"^(?:an?|the|my|your|some)\s+")


@dataclass(frozen=True, slots=True)
class CodingQuestion:
    """`things`: the list to choose from; empty for free text. `text`: what is asked.

    `checks`: whether the thing chosen is confirmed by a Yes or No, without which a list has no
    answer for what is not on it.
    """

    things: tuple[str, ...] = ()
    text: str = WORDING
    checks: bool = True

    def about(self, things: Sequence[str]) -> Question:
        """The question with some of the things as its options."""
        return Question(self.text, tuple(things))

    def check(self, thing: str) -> Question:
        """Whether it is this thing, as a Yes or No."""
        return alert_question(CHECK.format(thing.replace("{", "(").replace("}", ")")))


def listed_things(text: str) -> tuple[str, ...]:
    """The things of a list as it is typed: commas between them, quotes around what holds one.

    Raises QuestionError for an empty list, one name twice, and what is too long.
    """
    import csv

    try:
        cells = [cell for row in csv.reader([text], skipinitialspace=True) for cell in row]
    except csv.Error as error:
        raise QuestionError(f"--things: the list can't be read: {error}") from error
    things = tuple(printable(cell, LONGEST_NAME) for cell in cells if cell.strip())
    if not things:
        raise QuestionError("--things: the list is empty: name at least one thing")
    if len(things) > MOST_THINGS:
        raise QuestionError(f"--things: {len(things)} things: give at most {MOST_THINGS}")
    seen: dict[str, str] = {}
    for thing in things:
        if (key := thing.casefold()) in seen or key == NONE_LISTED:
            first = seen.get(key, NONE_LISTED)
            raise QuestionError(f"--things: {thing!r} and {first!r} are one name: leave one out")
        seen[key] = thing
    return things


def one_name(said: str) -> str:
    """The name of a thing as free text gives it, so that the same thing has the same name.

    "I am looking at the Red cup." and "a red  cup" are both "red cup".
    """
    name = printable(said, LONGEST_NAME).casefold().strip(" .,;:!?\"'`*")
    name = _LEAD.sub("", name)
    return _ARTICLE.sub("", name).strip(" .,;:!?\"'`*")
