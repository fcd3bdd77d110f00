"""What a live run does beside its work: with the time that the decoder has left, and about what
lies before its window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from runtime.answers.questions import Question
from runtime.stream.steps import Step


@dataclass(frozen=True, slots=True)
class Recollection:
    """An answer that does not come from the model. `answer`: a letter where the question has
    options, else text; `basis`: what it rests on, for a person."""

    answer: str
    basis: str


class Aside(Protocol):
    """Everything is called from the decoder's thread."""

    def offer(self, step: Step) -> None:
        """A step is encoded in which a fixation may have come to count; returns at once."""
        ...

    def work(self) -> bool:
        """Nothing waits for the decoder: run one graph, at most; whether there was any to run."""
        ...

    def recall(self, question: Question, moment: int) -> Recollection | None:
        """What is known of a question asked at `moment` (Unix ns) about the time before the
        window; None for one that the model is to answer."""
        ...


class NothingAside:
    """For a run that has nothing else to do."""

    def offer(self, step: Step) -> None:
        """Leave it."""

    def work(self) -> bool:
        """Do nothing."""
        return False

    def recall(self, question: Question, moment: int) -> Recollection | None:
        """Know nothing."""
        return None
