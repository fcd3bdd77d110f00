"""A question of a StreamGaze data set, and what is wrong with one that can't be asked."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.streamgaze.data.scoring import YES
from benchmarks.streamgaze.data.tasks import Window
from devices.printable import printable
from runtime.answers.questions import Question, alert_question

LONGEST_SHOWN = 200  # characters of a question in a line


@dataclass(frozen=True, slots=True)
class QuestionKey:
    """What names a question in a run. `time`: the text of its time stamp, or of its test point.

    `number` tells apart questions that are the same in all the rest: 0 for the first.
    """

    task: str
    video: str
    question: str
    time: str
    number: int = 0

    def __str__(self) -> str:
        video, asked = (
            printable(text, LONGEST_SHOWN) for text in (self.video, repr(self.question))
        )
        return f"{self.task}, {video or 'no video'} at {self.time or 'no time'}: {asked}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something can't be asked: a cause to count by, and what exactly is wrong."""

    cause: str
    reason: str


@dataclass(frozen=True, slots=True)
class EvaluationQuestion:
    """A question of the data set. `expected`: a letter, or YES or NO of an alert's test point.

    `window` is None where one of `problems` says that its time can't be read.
    """

    key: QuestionKey
    options: tuple[str, ...]
    expected: str
    is_alert: bool
    window: Window | None
    problems: tuple[Problem, ...] = ()

    @property
    def problem(self) -> Problem | None:
        """The first of its problems; None if it can be asked."""
        return self.problems[0] if self.problems else None

    def asked(self) -> Question:
        """As it is put to the model."""
        if self.is_alert:
            return alert_question(self.key.question, "A" if self.expected == YES else "B")
        return Question(self.key.question, self.options, self.expected)
