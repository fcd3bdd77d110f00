"""Where clients ask: questions on their way to the loop and back, and the alerts that stand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from runtime.answers.alerts import MOST_ALERTS, AlertRule, StandingAlert, StandingAlerts
from runtime.answers.questions import Question, Ticket
from runtime.answers.record import AnswerRecord
from runtime.errors import QuestionError
from runtime.run.capture import DueQuestion
from runtime.server.aloud.microphone import BadSound, Hear, PageMicrophone
from runtime.server.hub import Hub, alerts_message
from runtime.stream.steps import StepPlan

MOST_PENDING = 16  # questions of all clients


class Busy(Exception):
    """More is asked for than is taken at a time. `status`: of HTTP."""

    status = 429


class Over(Busy):
    """The run is over: nobody is answered any more."""

    status = 503

    def __init__(self) -> None:
        super().__init__("the run is over")


@dataclass(frozen=True, slots=True)
class Counter:
    """What the server may ask of a run; every function may be called from any thread.

    `ask` takes a question; `check` raises QuestionError for one that can't be asked; `now` is the
    clock of the device, Unix ns. `talk`: from now on what is said is for the glasses, or is judged
    by its words again. `hear`: what a page's microphone hears, None where that is not wanted.
    """

    ask: Callable[[DueQuestion], None]
    check: Callable[[Question], None]
    now: Callable[[], int]
    alerts: StandingAlerts
    rule: AlertRule
    talk: Callable[[bool], None] = lambda held: None
    hear: Hear | None = None


class Desk:
    """Lives in the server's event loop."""

    def __init__(self, counter: Counter, hub: Hub) -> None:
        self._counter = counter
        self._hub = hub
        self._closed = False
        self._talking: set[object] = set()
        self._microphones: dict[object, PageMicrophone] = {}

    async def ask(
        self,
        question: Question,
        pictures: tuple[StepPlan, ...] = (),
        on_piece: Callable[[str], None] = lambda piece: None,
    ) -> AnswerRecord:
        """Ask now, and wait for the answer; whoever is cancelled meanwhile withdraws the question.

        `on_piece` hears of free text in the event loop. Raises QuestionError, or Busy.
        """
        if self._closed:
            raise Over
        if len(self._hub.answers) >= MOST_PENDING:
            raise Busy(f"{MOST_PENDING} questions wait already: ask again in a moment")
        loop = asyncio.get_running_loop()
        ticket = Ticket(lambda piece: loop.call_soon_threadsafe(on_piece, piece))
        question = replace(question, ticket=ticket)
        answer: asyncio.Future[AnswerRecord] = loop.create_future()
        self._hub.answers[ticket] = answer
        try:
            await asyncio.to_thread(self._counter.check, question)
            self._counter.ask(DueQuestion(question, self._counter.now(), pictures))
            return await answer
        except QuestionError:
            self._hub.answers.pop(ticket, None)
            raise
        except asyncio.CancelledError:
            ticket.withdraw()  # its place is free again once the loop has let go of it
            raise

    def close(self) -> None:
        """The run is over: nobody is answered any more."""
        self._closed = True
        for waiting in self._hub.answers.values():
            if not waiting.done():
                waiting.set_exception(Over())
        self._hub.answers.clear()

    def talk(self, page: object, held: bool, rate: int | None = None) -> None:
        """A page's button to talk goes down or up; it is down as long as one of them is.

        `rate`: in Hz, of what its microphone hears meanwhile; None where another one hears. Raises
        BadSound, or Busy where the microphone of another page is open.
        """
        self._microphones.pop(page, None)
        if held and rate is not None:
            if self._counter.hear is None:
                raise BadSound("this run does not listen to pages: start it with --microphone page")
            if self._microphones:
                raise Busy("somebody else is talking: wait a moment")
            microphone = PageMicrophone(rate, self._counter.now, self._counter.hear)
            self._microphones[page] = microphone
        was_held = bool(self._talking)
        self._talking = self._talking | {page} if held else self._talking - {page}
        if bool(self._talking) != was_held:
            self._counter.talk(held)

    def hear(self, page: object, sound: bytes) -> None:
        """A page's microphone heard something. Raises BadSound."""
        if page not in self._microphones:
            raise BadSound("sound is taken while the button to talk is held")
        self._microphones[page].take(sound)

    def add_alert(self, text: str, threshold: float | None) -> None:
        """Let an alert stand. Raises QuestionError, or Busy where too many do."""
        if len(self._counter.alerts) >= MOST_ALERTS:
            raise Busy(f"{MOST_ALERTS} alerts stand already: remove one first")
        rule = self._counter.rule
        if threshold is not None:
            if not 0 <= threshold <= 1:
                raise QuestionError("the threshold of an alert lies between 0 and 1")
            rule = replace(rule, threshold=threshold, release=min(rule.release, threshold))
        if not text.strip():
            raise QuestionError("the alert is empty: say what to be told of")
        alert = StandingAlert(text.strip(), rule)
        self._counter.check(alert.question)
        self._counter.alerts.add(alert)
        self._hub.say(self.told_alerts())

    def remove_alert(self, text: str) -> None:
        """Let an alert stand no more."""
        self._counter.alerts.remove(text)
        self._hub.say(self.told_alerts())

    def told_alerts(self) -> dict[str, object]:
        """The alerts that stand, as a message for pages."""
        return alerts_message(self._counter.alerts)
