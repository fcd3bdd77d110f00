"""What the encoder's and the decoder's thread of a live run do with one piece of work."""

from __future__ import annotations

from collections.abc import Sequence

from devices.clock import Clock
from runtime.answers.alerts import YES, AlertRule, StandingAlert, subject
from runtime.answers.heard import Standing
from runtime.answers.questions import HALTED
from runtime.answers.record import Conditions, answer_record
from runtime.answers.watcher import TAIL_LEFT_OUT, Reply, Watcher
from runtime.errors import NotFiniteError, QuestionError
from runtime.model.encoder import Encoder
from runtime.run.reports import Reporter
from runtime.run.work import (
    Encoded,
    GlanceWork,
    QuestionWork,
    StandingWork,
    StepWork,
    Work,
)
from runtime.stopwatch import Stopwatch
from runtime.stream.steps import Step, StepFact, StepPlan

MOST_ALERTS = 16  # each costs a judgement at every step


class Encoding:
    """The encoder's thread: plans become encoded steps."""

    def __init__(self, encoder: Encoder, reporter: Reporter, clock: Clock) -> None:
        self._encoder = encoder
        self._reporter = reporter
        self._clock = clock
        self._shown: StepFact | None = None
        self._halted = False

    def halt(self) -> None:
        """Someone ended the run: tail steps are not encoded any more."""
        self._halted = True

    def work(self, taken: Work | StepPlan) -> Encoded | None:
        """Encode what was taken from the queue; None for what no context waits for."""
        try:
            return self._work(taken)
        except NotFiniteError as error:
            return self._left_out(taken, str(error))

    def _work(self, taken: Work | StepPlan) -> Encoded | None:
        if isinstance(taken, StepPlan):
            watch = Stopwatch()
            self._encoded(taken, watch)
            self._reporter.kept_up(taken, self._clock.now())
            self._reporter.spent(watch)
            return None
        if isinstance(taken, StepWork):
            step = self._encoded(taken.plan, taken.watch)
            self._reporter.kept_up(taken.plan, self._clock.now())
            self._shown = StepFact.of(taken.plan)
            return Encoded(taken, step)
        if isinstance(taken, StandingWork):
            return Encoded(taken, None)
        return Encoded(taken, self._encoded_tail(taken.tail, taken.watch))

    def _left_out(self, taken: Work | StepPlan, reason: str) -> Encoded | None:
        """What can't be encoded to numbers: a question is answered without it."""
        if isinstance(taken, QuestionWork):
            return Encoded(taken, None, f"{TAIL_LEFT_OUT} ({reason})")
        if isinstance(taken, StepWork):
            self._reporter.left_out(reason)
        return None

    def _encoded(self, plan: StepPlan, watch: Stopwatch) -> Step:
        step = self._encoder.encode(plan, watch)
        self._reporter.encoded(plan.pair.newer_at)
        return step

    def _encoded_tail(self, plan: StepPlan | None, watch: Stopwatch) -> Step | None:
        """The tail step; None where the newest step shows the same, or nothing was seen yet."""
        if plan is None or self._halted or (self._shown is not None and self._shown.shows(plan)):
            return None
        return self._encoded(plan, watch)


class Decoding:
    """The decoder's thread: steps are appended, questions answered, alerts judged."""

    def __init__(
        self,
        watcher: Watcher,
        alerts: Sequence[StandingAlert],
        conditions: Conditions,
        reporter: Reporter,
        clock: Clock,
        spoken_rule: AlertRule | None = None,
    ) -> None:
        """`spoken_rule`: when an alert that comes up meanwhile is raised."""
        self._watcher = watcher
        self._alerts = list(alerts)
        self._spoken_rule = spoken_rule or AlertRule()
        self._conditions = conditions
        self._reporter = reporter
        self._clock = clock
        self._halted = False

    def halt(self) -> None:
        """Someone ended the run: after the graph that runs, what waits gets a record only."""
        self._halted = True
        self._watcher.asker.halt()

    def work(self, encoded: Encoded) -> None:
        """Do what the work is about, and report it."""
        work = encoded.work
        if isinstance(work, QuestionWork):
            self._answer(work, encoded)
        elif self._halted:
            return
        elif isinstance(work, StandingWork):
            self._stand(work.standing)
        elif isinstance(work, StepWork) and encoded.step is not None:
            self._watcher.append(encoded.step, work.watch)
            self._reporter.appended(work.plan, self._watcher.contexts)
            self._judge(work.plan.time, None, work.watch, work.plan)
        elif isinstance(work, GlanceWork):
            self._judge(work.moment, encoded.step, work.watch, work.tail)
        self._reporter.spent(work.watch)

    def _stand(self, standing: Standing) -> None:
        """Take up a spoken request, or give up those that it names: all, where it names none."""
        if not standing.begins:
            named = subject(standing.text)
            self._alerts = [a for a in self._alerts if named and named not in subject(a.text)]
            return
        if len(self._alerts) >= MOST_ALERTS:
            self._reporter.said(f"{MOST_ALERTS} alerts stand already: {standing.text!r} is not one")
            return
        alert = StandingAlert(standing.text, self._spoken_rule)
        try:
            self._watcher.asker.check(alert.question)
        except QuestionError as error:
            self._reporter.said(str(error))
            return
        self._alerts.append(alert)

    def _answer(self, work: QuestionWork, encoded: Encoded) -> None:
        """Answer and report; a question that can't be answered gets a record that says why."""
        reply, notes = None, [work.note, encoded.note]
        try:
            if self._halted:
                raise QuestionError(HALTED)
            if work.tail is not None:
                (reply,) = self._watcher.ask([work.question], encoded.step, work.watch)
                notes.append(reply.note)
        except QuestionError as error:
            notes.insert(0, str(error))
        self._reporter.answered(
            answer_record(
                work.question,
                work.moment,
                self._conditions,
                reply.steps if reply else (),
                work.tail.gaze.gaze_at if work.tail else None,
                reply.answer if reply else None,
                work.watch.stages_ms(),
                *self._reporter.streams(),
                note="; ".join(filter(None, notes)) or None,
                heard=work.heard,
            )
        )

    def _judge(self, moment: int, tail: Step | None, watch: Stopwatch, plan: StepPlan) -> None:
        """Ask every standing alert; questions that arrive meanwhile wait for this step only."""
        for alert, reply in zip(self._alerts, self._judgements(tail, watch), strict=False):
            chance = (reply.answer.probabilities or {}).get(YES, 0.0)
            if not alert.judge(chance, moment):
                continue
            record = answer_record(
                alert.question_at(moment),
                moment,
                self._conditions,
                reply.steps,
                plan.gaze.gaze_at,
                reply.answer,
                watch.stages_ms(),
                *self._reporter.streams(),
                note=reply.note,
            )
            self._reporter.raised(alert.text, record, plan, self._clock.now())

    def _judgements(self, tail: Step | None, watch: Stopwatch) -> list[Reply]:
        """One per standing alert; none when the run was ended meanwhile."""
        if not self._alerts:
            return []
        try:
            questions = [alert.question for alert in self._alerts]
            return self._watcher.ask(questions, tail, watch)
        except QuestionError:
            return []
