"""The capture side of a live run: samples become work, in the order of capture."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from devices.device import Delivery
from devices.samples import KnownQuestion
from runtime.frame_timeline import FramePair
from runtime.questions import Question
from runtime.steps import StepPlan, StepPlanner
from runtime.work import GlanceWork, QuestionWork, StepWork, Work


@dataclass(frozen=True, slots=True)
class DueQuestion:
    """A question and the moment at which it is asked, Unix ns."""

    question: Question
    moment: int


class Capture:
    """Turns deliveries into work. One thread calls it.

    `glances`: whether confirmed fixations are of interest, because alerts stand. `known`: makes a
    question of one that the source asks itself; None leaves those out.
    """

    def __init__(
        self,
        planner: StepPlanner,
        due: Sequence[DueQuestion],
        glances: bool,
        known: Callable[[KnownQuestion], Question] | None = None,
    ) -> None:
        self._planner = planner
        self._pending = deque(sorted(due, key=lambda question: question.moment))
        self._glances = glances
        self._known = known
        self._glanced: tuple[int, ...] = ()
        self._offered: int | None = None
        self._asked: queue.SimpleQueue[DueQuestion] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no question waits for its moment."""
        return not self._pending

    def listen(self, questions: queue.SimpleQueue[DueQuestion]) -> None:
        """Take questions from another thread, too."""
        self._asked = questions

    def ask(self, due: DueQuestion) -> None:
        """Add a question, in the order of its moment."""
        self._pending.append(due)
        self._pending = deque(sorted(self._pending, key=lambda question: question.moment))

    def take_in(self, delivery: Delivery, now: int) -> list[Work]:
        """What a delivery of `now` (Unix ns) gives rise to, in order."""
        for sample in delivery.samples:
            if isinstance(sample, KnownQuestion) and self._known is not None:
                self.ask(DueQuestion(self._known(sample), sample.captured_at))
        while self._asked is not None and not self._asked.empty():
            self.ask(self._asked.get())
        self._planner.receive(delivery, now)
        work: list[Work] = []
        while self._pending and self._is_askable(self._pending[0].moment, now):
            due = self._pending.popleft()
            work += self._steps(due.moment)
            work.append(QuestionWork(due.question, due.moment, self._planner.tail(due.moment)))
        work += self._steps(now)
        if self._glances and (glance := self._glance(now)) is not None:
            work.append(glance)
        return work

    def newest_pair(self, now: int) -> FramePair | None:
        """The newest pair of frames, once: None until there is a newer frame."""
        plan = self._planner.tail(now)
        if plan is None or plan.pair.newer_at == self._offered:
            return None
        self._offered = plan.pair.newer_at
        return plan.pair

    def _is_askable(self, moment: int, now: int) -> bool:
        return moment <= now and self._planner.decided(moment)

    def _steps(self, until: int) -> list[Work]:
        return [StepWork(plan) for plan in self._planner.due(until)]

    def _glance(self, now: int) -> GlanceWork | None:
        """Work for a fixation that has just come to count."""
        plan = self._planner.tail(now)
        if plan is None:
            return None
        begun = _begun(plan)
        new = set(begun) - set(self._glanced)
        self._glanced = begun
        return GlanceWork(now, replace(plan, time=now)) if new else None


def _begun(plan: StepPlan) -> tuple[int, ...]:
    return tuple(fixation.started_at for fixation in plan.gaze.fixations)
