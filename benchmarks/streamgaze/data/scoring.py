"""StreamGaze's official scoring, rule by rule, odd ones included.

Source: the StreamGaze evaluation code (arXiv 2512.01707). Figures are comparable with published
ones only if what counts as right is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

YES, NO = "YES", "NO"
STANDALONE = re.compile(r"\b([ABCD])\b")


@dataclass(frozen=True, slots=True)
class Score:
    """How many of `total` were right."""

    correct: int
    total: int

    @property
    def accuracy(self) -> float | None:
        """The fraction that was right; None of nothing."""
        return self.correct / self.total if self.total else None


def letter(answer: object) -> str:
    """What an answer counts as: its first standalone A to D, else all of it; "" for None.

    Case does not matter, so the article in "I think a cup, so B" counts as A.
    """
    if answer is None:
        return ""
    text = str(answer).strip().upper()
    match = STANDALONE.search(text)
    return match.group(1) if match else text


def choice_is_right(answer: object, prediction: object) -> bool | None:
    """Whether a multiple-choice prediction is right; None for a question that does not count."""
    right = letter(answer)
    return right == letter(prediction) if right else None


def alert_is_right(kind: object, response: object = "") -> bool | None:
    """Whether the response at a test point of type `kind` (1: Yes is expected) is right.

    The word may lie inside another one: "EYES" holds YES, "KNOW" and "NONE" hold NO. A missing
    response is "". None for a point without a type, which does not count.
    """
    if kind is None:
        return None
    expected = YES if kind == 1 else NO
    return expected in str(response).strip().upper()


def score_choices(answers: Sequence[object], predictions: Sequence[object]) -> Score:
    """A file of multiple-choice questions: predictions zipped with questions, the rest unscored."""
    return _score(
        choice_is_right(answer, prediction)
        for answer, prediction in zip(answers, predictions, strict=False)
    )


def score_alerts(points: Iterable[Mapping[str, object]]) -> Score:
    """A file of alerts: its test points, with `type` and, unless it is missing, `response`."""
    return _score(alert_is_right(point.get("type"), point.get("response", "")) for point in points)


def overall(scores: Iterable[Score]) -> float | None:
    """The unweighted mean over the task files that are there; a file that scores nothing is 0."""
    accuracies = [score.accuracy or 0.0 for score in scores]
    return sum(accuracies) / len(accuracies) if accuracies else None


def question_weighted(scores: Iterable[Score]) -> Score:
    """All questions in one pot."""
    listed = list(scores)
    return Score(sum(score.correct for score in listed), sum(score.total for score in listed))


def _score(judged: Iterable[bool | None]) -> Score:
    counted = [right for right in judged if right is not None]
    return Score(sum(counted), len(counted))
