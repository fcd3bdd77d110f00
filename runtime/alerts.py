"""Standing questions: what a person wants to be told of, judged at every step."""

from __future__ import annotations

from dataclasses import dataclass

from devices.clock import NANOSECONDS
from runtime.questions import Question, alert_question

YES = "A"


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When an alert is raised.

    At a probability of `threshold`, once; again only after it has fallen to `release`, and not
    within `interval` seconds.
    """

    threshold: float = 0.5
    release: float = 0.4
    interval: float = 3.0


class StandingAlert:
    """One alert and whether it is armed."""

    def __init__(self, text: str, rule: AlertRule) -> None:
        self.text = text
        self.question: Question = alert_question(text)
        self._rule = rule
        self._armed = True
        self._raised_at: int | None = None

    def judge(self, probability: float, moment: int) -> bool:
        """Take the probability of Yes at `moment` (Unix ns); whether to raise the alert now."""
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
