"""What was heard and what was said aloud, with their times (Unix ns, the clock of capture)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from devices.samples import Fixation
from runtime.answers.questions import Question

TakenAs = Literal[
    "question", "standing request", "end of a standing request", "stop", "again", "nothing"
]
Why = Literal["answer", "alert", "confirmation", "again"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word that points at something, and about when it was said."""

    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Heard:
    """Words that were spoken. `pointing`: those of them that point at something."""

    text: str
    began_at: int
    ended_at: int
    pointing: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody wants to be told of from now on; not `begins`: what not any more."""

    text: str
    begins: bool = True


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said to the glasses: its moment is when the speech ended."""

    heard: Heard
    wish: Question | Standing

    @property
    def moment(self) -> int:
        """Unix ns."""
        return self.heard.ended_at


@dataclass(frozen=True, slots=True)
class PointedAt:
    """A pointing word and the fixation that lasted when it was said: `x`, `y` in fractions of the
    frame, `start` and `end` as they were known then; null where nothing was fixated."""

    word: str
    at: int
    x: float | None
    y: float | None
    start: int | None
    end: int | None

    @classmethod
    def of(cls, word: Word, fixation: Fixation | None) -> PointedAt:
        """The facts of a word said while a fixation lasted, or none."""
        if fixation is None:
            return cls(word.text, word.at, None, None, None, None)
        place = fixation.x, fixation.y
        return cls(word.text, word.at, *place, fixation.started_at, fixation.ended_at)


@dataclass(frozen=True, slots=True)
class HeardFact:
    """Of a question that was spoken: the words, their time, and what they pointed at."""

    text: str
    began_at: int
    ended_at: int
    pointed_at: tuple[PointedAt, ...]


@dataclass(frozen=True, slots=True)
class HeardRecord:
    """Everything that was heard, for the glasses or not. `understood_at`: when its text was ready;
    `why`: why it was taken as nothing."""

    text: str
    began_at: int
    ended_at: int
    understood_at: int
    taken_as: TakenAs
    why: str | None = None
    kind: Literal["heard"] = "heard"


@dataclass(frozen=True, slots=True)
class SpokenRecord:
    """A piece of text that was spoken aloud; not `whole`: it was cut short by something."""

    text: str
    why: Why
    began_at: int
    ended_at: int
    whole: bool
    kind: Literal["spoken"] = "spoken"
