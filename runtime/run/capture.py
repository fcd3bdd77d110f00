"""The capture side of a live run: samples become work, in the order of capture.

Everything is decided up to the moment of which all is known, so that how fast samples arrive and
how often the device is looked at changes when work arises, never what it is.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Protocol

from devices.clock import NANOSECONDS
from devices.device import Delivery
from devices.samples import Fixation, KnownQuestion
from runtime.answers.heard import Heard, HeardFact, PointedAt, Said, Standing
from runtime.answers.questions import Question
from runtime.run.work import DELIVERY, GlanceWork, QuestionWork, StandingWork, StepWork, Work
from runtime.stopwatch import Stopwatch
from runtime.stream.circumstances import circumstances
from runtime.stream.steps import StepPlan, StepPlanner

GLIMPSE = NANOSECONDS // 20
MOST_GLIMPSES = 20 * 30  # half a minute: no utterance is longer


@dataclass(frozen=True, slots=True)
class DueQuestion:
    """A question, or a standing request, and the moment at which it is asked, Unix ns.

    `pictures`: steps of their own that it is about; none where it is about the stream. `heard`: the
    words, where it was spoken.
    """

    question: Question | Standing
    moment: int
    pictures: tuple[StepPlan, ...] = ()
    heard: Heard | None = None


class Ears(Protocol):
    """Who listens: what was said to the glasses, and up to when that is decided."""

    def hear(self, delivery: Delivery, now: int) -> list[Said]: ...

    def decided_until(self, now: int) -> int: ...

    @property
    def is_idle(self) -> bool: ...


class Capture:
    """Turns deliveries into work. One thread calls it.

    `glances`: whether confirmed fixations are of interest, because alerts stand; or the alerts,
    while any stand. `known`: makes a question, or a standing request, of what the source asks
    itself; None leaves it out. `on_asked` hears of each question that a person asked, as soon as it
    is known here. `ears`: who listens to the sound; nothing is decided about a time of which it is
    not known yet what was said by then. `may_stand`: whether alerts may come to stand later.
    """

    def __init__(
        self,
        planner: StepPlanner,
        due: Sequence[DueQuestion],
        glances: bool | Sized,
        known: Callable[[KnownQuestion], Question | Standing | None] | None = None,
        on_asked: Callable[[DueQuestion], None] = lambda due: None,
        ears: Ears | None = None,
        may_stand: bool = False,
    ) -> None:
        self._planner = planner
        self._pending: list[DueQuestion] = []
        self._glances = glances
        self._may_stand = may_stand or ears is not None
        self._was_requested = False
        self._ears = ears
        self._fixated: deque[tuple[int, Fixation | None]] = deque(maxlen=MOST_GLIMPSES)
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
        is_heard = self._ears is None or self._ears.is_idle
        return not self._pending and self._asked.empty() and is_heard

    def ask(self, due: DueQuestion) -> None:
        """Ask a question; any thread may call this."""
        self._asked.put(due)

    def take_in(self, delivery: Delivery, now: int) -> list[Work]:
        """What a delivery of `now` (Unix ns) gives rise to, in order."""
        self._planner.receive(delivery, now)
        decided_until = now
        if self._ears is not None:
            for said in self._ears.hear(delivery, now):
                self._asked.put(DueQuestion(said.wish, said.moment, heard=said.heard))
            decided_until = self._ears.decided_until(now)
        self._hear(delivery)
        seen = max(self._done_until, min(now, self._planner.known_until))
        known = max(self._done_until, min(seen, decided_until))
        self._glimpse(known)
        glances = self._planner.confirmed(known) if self._glances or self._may_stand else []
        work: list[Work] = []
        for moment, due in self._agenda(known, glances):
            work += self._steps(moment)
            if due is not None and isinstance(due.question, Standing):
                self._was_requested = True  # whether it stands is the decoder's to say, and later
                work.append(StandingWork(due.question, moment))
            elif due is not None:
                work.append(self._question(due, now))
            elif (self._glances or self._was_requested) and (tail := self._planner.tail(moment)):
                work.append(GlanceWork(moment, tail))
        work += self._steps(known)
        self._done_until = known
        return work + [self._question(due, now) for due in self._ahead(seen)]

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
                if (question := self._known(sample)) is not None:
                    self._pending.append(DueQuestion(question, moment))

    def _agenda(self, known: int, glances: Sequence[int]) -> list[tuple[int, DueQuestion | None]]:
        """Questions and glances up to `known` in the order of their moments, questions first."""
        ready = [due for due in self._pending if due.moment <= known]
        self._pending = [due for due in self._pending if due.moment > known]
        agenda: list[tuple[int, DueQuestion | None]] = [(due.moment, due) for due in ready]
        agenda += [(moment, None) for moment in glances]
        return sorted(agenda, key=lambda entry: (entry[0], entry[1] is None))

    def _ahead(self, seen: int) -> list[DueQuestion]:
        """What was typed while somebody speaks, by `seen` (Unix ns), and need not wait for that.

        A question leaves no trace on the next, but a step that was appended is there for all later
        ones. So what was said at some moment has to come first only where a step falls between.
        """
        ahead = [
            due
            for due in self._pending
            if due.heard is None
            and not isinstance(due.question, Standing)
            and due.moment <= seen
            and not self._planner.has_due(due.moment)
        ]
        self._pending = [due for due in self._pending if due not in ahead]
        return ahead

    def _question(self, due: DueQuestion, now: int) -> QuestionWork:
        tail = self._planner.tail(due.moment)
        note = circumstances(tail, due.moment, self._planner.start, self._planner.interval)
        if due.heard is not None and due.moment > due.heard.ended_at:
            late = (due.moment - due.heard.ended_at) / NANOSECONDS
            note = "; ".join(filter(None, (f"asked {late:.2f} s after it was said", note)))
        watch = Stopwatch(spent={DELIVERY: now - due.moment})
        if due.pictures:
            return QuestionWork(due.question, due.moment, None, None, watch, due.pictures)
        heard = self._pointed(due.heard)
        return QuestionWork(due.question, due.moment, tail, note, watch, heard=heard)

    def _glimpse(self, until: int) -> None:
        """Note what is fixated, several times a second, for words that will have pointed at it."""
        if self._ears is None or not self._done_until:
            return
        first = max(self._done_until // GLIMPSE, until // GLIMPSE - MOST_GLIMPSES) + 1
        for number in range(first, until // GLIMPSE + 1):
            fixations = self._planner.fixated(number * GLIMPSE)
            self._fixated.append((number * GLIMPSE, fixations[-1] if fixations else None))

    def _pointed(self, heard: Heard | None) -> HeardFact | None:
        """What was spoken, with what was fixated at each word that points."""
        if heard is None:
            return None
        pointed = []
        for word in heard.pointing:
            seen = [fixation for at, fixation in self._fixated if at <= word.at < at + GLIMPSE]
            pointed.append(PointedAt.of(word, seen[0] if seen else None))
        return HeardFact(heard.text, heard.began_at, heard.ended_at, tuple(pointed))

    def _steps(self, until: int) -> list[Work]:
        return [StepWork(plan) for plan in self._planner.due(until)]


def _shows_alike(one: StepPlan, other: StepPlan) -> bool:
    return one.pair.key == other.pair.key and one.gaze.fixations == other.gaze.fixations
