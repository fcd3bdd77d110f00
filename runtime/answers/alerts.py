"""Standing questions: what a person wants to be told of, judged at every step."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from devices.clock import NANOSECONDS
from runtime.answers.questions import Question, alert_question

YES, NO = "A", "B"
_FRAME = frozenset(
    [
        "tell",
        "telling",
        "alert",
        "alerting",
        "notify",
        "notifying",
        "warn",
        "warning",
        "remind",
        "me",
        "when",
        "if",
        "as",
        "soon",
        "once",
        "whenever",
        "stop",
        "no",
        "longer",
        "don't",
        "do",
        "not",
        "any",
        "more",
        "anymore",
        "about",
        "of",
        "i",
        "look",
        "looking",
        "am",
        "at",
        "see",
        "is",
        "are",
        "you",
        "the",
        "a",
        "an",
        "that",
        "this",
        "it",
        "its",
        "appears",
        "appear",
        "user",
        "gazes",
        "wearer",
        "looks",
    ]
)  # what stands around the thing that a request is about


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When an alert is raised.

    At a probability of `threshold`, once; again only after it has fallen to `release`, and not
    within `interval` seconds.
    """

    threshold: float = 0.5
    release: float = 0.4
    interval: float = 3.0


def subject(request: str) -> str:
    """What a request to be told, or not to be told any more, is about: its last noun's words.

    Empty where it names nothing: "stop telling me".
    """
    words = re.findall(r"[\w']+", request.lower())
    kept = [word for word in words if word not in _FRAME]
    return " ".join(kept)


class StandingAlert:
    """One alert and whether it is armed.

    `truth` says, where it is known, whether the alert is due at a moment (Unix ns).
    """

    def __init__(
        self, text: str, rule: AlertRule, truth: Callable[[int], bool] | None = None
    ) -> None:
        self.text = text
        self.question: Question = alert_question(text)
        self._truth = truth
        self._rule = rule
        self._armed = True
        self._raised_at: int | None = None

    def question_at(self, moment: int) -> Question:
        """The question as it stands at a moment (Unix ns), with its answer where that is known."""
        if self._truth is None:
            return self.question
        return replace(self.question, truth=YES if self._truth(moment) else NO)

    def judge(self, probability: float, moment: int) -> bool:
        """Take the probability of Yes at `moment` (Unix ns); whether to raise the alert now.

        What is no number raises nothing and releases nothing.
        """
        if math.isnan(probability):
            return False
        if probability <= self._rule.release:
            self._armed = True
        if not self._armed or probability < self._rule.threshold or self._is_recent(moment):
            return False
        self._armed = False
        self._raised_at = moment
        return True

    def _is_recent(self, moment: int) -> bool:
        interval = round(self._rule.interval * NANOSECONDS)
        return self._raised_at is not None and moment - self._raised_at < interval
