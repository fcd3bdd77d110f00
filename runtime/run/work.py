"""What is passed from capture to the encoder and on to the decoder, and the queue it waits in."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from runtime.answers.heard import HeardFact, Standing
from runtime.answers.questions import Question
from runtime.stopwatch import Stopwatch
from runtime.stream.steps import Step, StepPlan

MOST_STEPS = 2  # that may wait for the encoder; then the oldest is dropped
DELIVERY = "delivery"  # the stage from a question's moment until all captured by then was delivered


@dataclass(frozen=True, slots=True, eq=False)
class StepWork:
    """A step to be encoded and appended."""

    plan: StepPlan
    watch: Stopwatch = field(default_factory=Stopwatch)


@dataclass(frozen=True, slots=True, eq=False)
class QuestionWork:
    """A question asked at `moment` (Unix ns), with the tail step of that moment, if any.

    `note`: what a person should know about that moment. `pictures`: what it is about, where that
    is not the stream. `heard`: the words, where it was
    spoken.
    """

    question: Question
    moment: int
    tail: StepPlan | None
    note: str | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)
    pictures: tuple[StepPlan, ...] = ()
    heard: HeardFact | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StandingWork:
    """Somebody wants to be told of something from `moment` on, or not any more."""

    standing: Standing
    moment: int
    watch: Stopwatch = field(default_factory=Stopwatch)


@dataclass(frozen=True, slots=True, eq=False)
class GlanceWork:
    """A fixation was confirmed at `moment`: alerts are judged with this tail step."""

    moment: int
    tail: StepPlan
    watch: Stopwatch = field(default_factory=Stopwatch)


Work = StepWork | QuestionWork | GlanceWork | StandingWork


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Work whose step is encoded; `step` is None where the context shows it already.

    `note`: why it is None where it should not be. `pictures`: the steps of a question about some.
    """

    work: Work
    step: Step | None
    note: str | None = None
    pictures: tuple[Step, ...] = ()


class EncoderQueue:
    """Work in the order it arose, and beside it what is newest to be seen, newest wins.

    `dropped_steps` counts steps that gave way to newer ones; `dropped_glances` glances that gave
    way to a newer one or to a step, at which alerts are judged anyway. While a question waits for
    its answer, what is newest is not handed out. Safe to share between threads.
    """

    def __init__(self) -> None:
        self.dropped_steps = 0
        self.dropped_glances = 0
        self._work: deque[Work] = deque()
        self._newest: StepPlan | None = None
        self._unanswered = 0
        self._changed = threading.Condition()
        self._closed = False

    def put(self, work: Work) -> None:
        """Add work behind what waits; of too many steps the oldest is dropped."""
        with self._changed:
            if not isinstance(work, QuestionWork | StandingWork):
                waiting = len(self._work)
                self._work = deque(w for w in self._work if not isinstance(w, GlanceWork))
                self.dropped_glances += waiting - len(self._work)
            self._unanswered += isinstance(work, QuestionWork)
            self._work.append(work)
            steps = [waiting for waiting in self._work if isinstance(waiting, StepWork)]
            if len(steps) > MOST_STEPS:
                self._work.remove(steps[0])
                self.dropped_steps += 1
            self._changed.notify()

    def answered(self) -> None:
        """A question that was put here has its answer, or never gets one."""
        with self._changed:
            self._unanswered -= 1
            self._changed.notify()

    @property
    def is_answering(self) -> bool:
        """Whether a question that was put here has no answer yet."""
        return self._unanswered > 0

    @property
    def newest(self) -> StepPlan | None:
        """What was offered and is not taken yet."""
        return self._newest

    def offer(self, newest: StepPlan) -> None:
        """Replace what is newest; what was so before and is not encoded yet is forgotten."""
        with self._changed:
            self._newest = newest
            self._changed.notify()

    def take(self, timeout: float | None) -> Work | StepPlan | None:
        """The next work, else the newest; None when closed, or after `timeout` seconds.

        With `timeout` None it waits until there is something or the queue is closed.
        """
        with self._changed:
            self._changed.wait_for(self._is_ready, timeout)
            if self._work:
                return self._work.popleft()
            if self._closed or self.is_answering:
                return None
            newest, self._newest = self._newest, None
            return newest

    def _is_ready(self) -> bool:
        has_newest = self._newest is not None and not self.is_answering
        return bool(self._work) or has_newest or self._closed

    def close(self, discard: bool) -> None:
        """Nothing more will come; `discard` drops what waits, but for questions."""
        with self._changed:
            if discard:
                self._work = deque(
                    w for w in self._work if isinstance(w, QuestionWork | StandingWork)
                )
            self._newest = None
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._work)
