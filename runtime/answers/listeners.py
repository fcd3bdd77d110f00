"""Those who hear what happens in a run: the screen, the file of records, whatever comes later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from runtime.answers.alerts import StandingAlert
from runtime.answers.questions import Ticket
from runtime.answers.record import AnswerRecord, Record
from runtime.engines.tensors import Tensor
from runtime.stream.steps import Step


@dataclass(frozen=True, slots=True)
class Notice:
    """A line for a person about the device or the run."""

    line: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer's free text, as it is generated."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A step was encoded. `counts`: it goes into a context; else it was only the newest to see.

    `unlooked`: the residuals (injected, H*W, D) that its frames would get if nothing were fixated,
    where that was asked for.
    """

    step: Step
    counts: bool
    unlooked: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A standing alert was judged at `at` (Unix ns): the probability of Yes."""

    alert: str
    at: int
    probability: float
    raised: bool


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The answer that `ticket` waits for; its record is told before."""

    ticket: Ticket
    record: AnswerRecord


@dataclass(frozen=True, slots=True, eq=False)
class AlertsChanged:
    """Someone had an alert stand, or stand no more: those that stand now."""

    alerts: tuple[StandingAlert, ...]


News = Record | Notice | Piece | Seen | Judgement | Answered | AlertsChanged
Listener = Callable[[News], None]


class Listeners:
    """Tells everything to each listener, in the order in which it happened.

    What one of them raises costs the others and the run nothing: `failures` counts it by the
    listener's name, and the others are told of the first. A listener is called in the thread in
    which something happened and must return at once: one that may have to wait brings a bounded
    queue of its own.
    """

    def __init__(self) -> None:
        self.failures: Counter[str] = Counter()
        self._listeners: dict[str, Listener] = {}

    def subscribe(self, name: str, listener: Listener) -> None:
        """From now on `listener` is told; `name` is what a person calls it."""
        if name in self._listeners:
            raise ValueError(f"there is a listener called {name!r} already")
        self._listeners[name] = listener

    def tell(self, news: News) -> None:
        """Tell every listener."""
        for name, listener in self._listeners.items():
            try:
                listener(news)
            except Exception as error:
                self.failures[name] += 1
                if self.failures[name] == 1:
                    self._tell_others(name, f"the {name} failed: {type(error).__name__}: {error}")

    def notice(self, line: str) -> None:
        """Tell a line for a person."""
        self.tell(Notice(line))

    def piece(self, text: str) -> None:
        """Tell a piece of free text."""
        self.tell(Piece(text))

    def close(self) -> None:
        """The run is over: say how often each listener failed."""
        for name, count in list(self.failures.items()):
            self._tell_others(name, f"the {name} failed {count} times in all")

    def _tell_others(self, failed: str, line: str) -> None:
        for name, listener in self._listeners.items():
            if name == failed:
                continue
            try:
                listener(Notice(line))
            except Exception:
                self.failures[name] += 1
