"""The capture side of a live run: samples become work, in the order of capture.

Everything is decided up to the moment of which all is known, so that how fast samples arrive and
how often the device is looked at changes when work arises, never what it is.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, replace

from devices.device import Delivery
from devices.samples import KnownQuestion
from runtime.answers.questions import Question
from runtime.run.work import DELIVERY, GlanceWork, QuestionWork, StepWork, Work
from runtime.stopwatch import Stopwatch
from runtime.stream.circumstances import circumstances
from runtime.stream.steps import StepPlan, StepPlanner


@dataclass(frozen=True, slots=True)
class DueQuestion:
    """A question and the moment at which it is asked, Unix ns.

    `pictures`: steps of their own that it is about; none where it is about the stream.
    """

    question: Question
    moment: int
    pictures: tuple[StepPlan, ...] = ()


class Capture:
    """Turns deliveries into work. One thread calls it.

    `glances`: whether confirmed fixations are of interest, because alerts stand; or the alerts,
    while any stand. `known`: makes a
    question of one that the source asks itself; None leaves those out. `on_asked` hears of each
    question that a person asked, as soon as it is known here.
    """

    def __init__(
        self,
        planner: StepPlanner,
        due: Sequence[DueQuestion],
        glances: bool | Sized,
        known: Callable[[KnownQuestion], Question] | None = None,
        on_asked: Callable[[DueQuestion], None] = lambda due: None,
    ) -> None:
        self._planner = planner
        self._pending: list[DueQuestion] = []
        self._glances = glances
        self._known = known
        self._on_asked = on_asked
        self._done_until = 0
        self._offered: StepPlan | None = None
        self._asked: queue.SimpleQueue[DueQuestion] = queue.SimpleQueue()
        for question in due:
            self._asked.put(question)

    @property
    def is_idle(self) -> bool:
        """Whether no question waits for its moment."""
        return not self._pending and self._asked.empty()

    def ask(self, due: DueQuestion) -> None:
        """Ask a question; any thread may call this."""
        self._asked.put(due)

    def take_in(self, delivery: Delivery, now: int) -> list[Work]:
        """What a delivery of `now` (Unix ns) gives rise to, in order."""
        self._hear(delivery)
        self._planner.receive(delivery, now)
        known = max(self._done_until, min(now, self._planner.known_until))
        glances = self._planner.confirmed(known) if self._glances else []
        work: list[Work] = []
        for moment, due in self._agenda(known, glances):
            work += self._steps(moment)
            tail = self._planner.tail(moment)
            if due is not None:
                work.append(self._question(due, tail, now))
            elif tail is not None:
                work.append(GlanceWork(moment, tail))
        work += self._steps(known)
        self._done_until = known
        return work

    def newest(
        self, now: int, wanted: Callable[[StepPlan], bool] = lambda plan: True
    ) -> StepPlan | None:
        """The newest pair of frames with the newest gaze, once: None until either is newer.

        What is not `wanted` now may be later.
        """
        plan = self._planner.tail(now)
        if plan is None or (self._offered is not None and _shows_alike(self._offered, plan)):
            return None
        if not wanted(plan):
            return None
        self._offered = plan
        return plan

    def _hear(self, delivery: Delivery) -> None:
        """Note the questions that have come.

        One whose moment is past, because its way here took long, is asked now: a question changes
        nothing that was decided before it.
        """
        while not self._asked.empty():
            due = self._asked.get()
            due = replace(due, moment=max(due.moment, self._done_until))
            self._on_asked(due)
            self._pending.append(due)
        for sample in delivery.samples:
            if isinstance(sample, KnownQuestion) and self._known is not None:
                moment = max(sample.captured_at, self._done_until)
                self._pending.append(DueQuestion(self._known(sample), moment))

    def _agenda(self, known: int, glances: Sequence[int]) -> list[tuple[int, DueQuestion | None]]:
        """Questions and glances up to `known` in the order of their moments, questions first."""
        ready = [due for due in self._pending if due.moment <= known]
        self._pending = [due for due in self._pending if due.moment > known]
        agenda: list[tuple[int, DueQuestion | None]] = [(due.moment, due) for due in ready]
        agenda += [(moment, None) for moment in glances]
        return sorted(agenda, key=lambda entry: (entry[0], entry[1] is None))

    def _question(self, due: DueQuestion, tail: StepPlan | None, now: int) -> QuestionWork:
        note = circumstances(tail, due.moment, self._planner.start, self._planner.interval)
        watch = Stopwatch(spent={DELIVERY: now - due.moment})
        if due.pictures:
            return QuestionWork(due.question, due.moment, None, None, watch, due.pictures)
        return QuestionWork(due.question, due.moment, tail, note, watch)

    def _steps(self, until: int) -> list[Work]:
        return [StepWork(plan) for plan in self._planner.due(until)]


def _shows_alike(one: StepPlan, other: StepPlan) -> bool:
    return one.pair.key == other.pair.key and one.gaze.fixations == other.gaze.fixations
