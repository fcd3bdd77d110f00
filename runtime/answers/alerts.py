"""Standing questions: what a person wants to be told of, judged at every step."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from devices.clock import NANOSECONDS
from runtime.answers.questions import Question, alert_question

YES, NO = "A", "B"
MOST_ALERTS = 16  # that persons add to a run: each costs a judgement at every step
_FRAME = re.compile(
    r"(tell|alert|notify|warn|remind)(ing)?|me|when(ever)?|if|as|soon|once|stop|no|longer|don't|do"
    r"|not|any|more|anymore|about|of|i|you|look(s|ing)?|gazes?|see|am|is|are|at|the|a|an|that|this"
    r"|its?|appears?|user|wearer"
)
"""Words that stand around the thing that a request is about."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When an alert is raised.

    At a probability of `threshold`, once; again only after it has fallen to `release`, and not
    within `interval` seconds.
    """

    threshold: float = 0.5
    release: float = 0.4
    interval: float = 3.0


def subject(request: str) -> frozenset[str]:
    """The words for what a request to be told, or not to be told any more, is about.

    Empty where it names nothing: "stop telling me".
    """
    words = re.findall(r"[\w']+", request.lower())
    return frozenset(word for word in words if not _FRAME.fullmatch(word))


class StandingAlerts:
    """The alerts that stand now, in the order in which they were added; safe between threads.

    `rule`: of those that a person adds without one.
    """

    def __init__(self, alerts: Iterable[StandingAlert] = (), rule: AlertRule | None = None) -> None:
        self.rule = rule or AlertRule()
        self._alerts = tuple(alerts)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[StandingAlert]:
        """Those that stand at this moment, whatever is added or removed meanwhile."""
        return iter(self._alerts)

    def __len__(self) -> int:
        return len(self._alerts)

    def add(self, alert: StandingAlert) -> None:
        """From the next step on it is judged, in place of one with the same text."""
        with self._lock:
            self._alerts = (*(each for each in self._alerts if each.text != alert.text), alert)

    def remove(self, text: str) -> bool:
        """It is judged no more; whether it stood."""
        with self._lock:
            kept = tuple(each for each in self._alerts if each.text != text)
            stood = len(kept) < len(self._alerts)
            self._alerts = kept
            return stood

    def remove_about(self, request: str) -> None:
        """Those that a spoken request names are judged no more: all, where it names none."""
        named = subject(request)
        for alert in self:
            if named <= subject(alert.text):
                self.remove(alert.text)


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
        self.rule = rule
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
        if probability <= self.rule.release:
            self._armed = True
        if not self._armed or probability < self.rule.threshold or self._is_recent(moment):
            return False
        self._armed = False
        self._raised_at = moment
        return True

    def _is_recent(self, moment: int) -> bool:
        interval = round(self.rule.interval * NANOSECONDS)
        return self._raised_at is not None and moment - self._raised_at < interval
