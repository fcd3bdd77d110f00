"""What the encoder's and the decoder's thread of a live run do with one piece of work."""

from __future__ import annotations

from collections.abc import Sequence

from devices.clock import Clock
from runtime.answers.alerts import MOST_ALERTS, YES, StandingAlert, StandingAlerts
from runtime.answers.aside import Aside
from runtime.answers.heard import Standing
from runtime.answers.listeners import Judgement
from runtime.answers.questions import HALTED, Answer
from runtime.answers.record import Conditions, answer_record
from runtime.answers.watcher import TAIL_LEFT_OUT, Reply, Watcher
from runtime.errors import NotFiniteError, QuestionError
from runtime.model.brake import Brake
from runtime.model.encoder import Encoder
from runtime.run.reports import Reporter
from runtime.run.work import Encoded, GlanceWork, QuestionWork, StandingWork, StepWork, Work
from runtime.stopwatch import Stopwatch
from runtime.stream.steps import Step, StepFact, StepPlan


class Encoding:
    """The encoder's thread: plans become encoded steps."""

    def __init__(self, encoder: Encoder, reporter: Reporter, clock: Clock, brake: Brake) -> None:
        self._encoder = encoder
        self._brake = brake
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
            self._reporter.seen(self._encoded(taken, watch), counts=False)
            self._reporter.kept_up(taken, self._clock.now())
            self._reporter.spent(watch)
            return None
        if isinstance(taken, StepWork):
            step = self._encoded(taken.plan, taken.watch)
            self._reporter.kept_up(taken.plan, self._clock.now())
            self._shown = StepFact.of(taken.plan)
            self._reporter.seen(step, counts=True, unlooked=self._encoder.unlooked(taken.plan))
            return Encoded(taken, step)
        if isinstance(taken, QuestionWork) and taken.pictures and not self._halted:
            encode, watch = self._encoder.encode_apart, taken.watch
            return Encoded(taken, None, pictures=tuple(encode(p, watch) for p in taken.pictures))
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
        if self._encoder.holds(plan.pair):
            step = self._encoder.encode(plan, watch)
        else:
            with self._brake.encoding(plan.pair.key, self._clock):
                step = self._encoder.encode(plan, watch)
        self._reporter.encoded(plan.pair.newer_at)
        return step

    def _encoded_tail(self, plan: StepPlan | None, watch: Stopwatch) -> Step | None:
        """The tail step; None where the newest step shows the same, or nothing was seen yet."""
        if plan is None or self._halted or (self._shown is not None and self._shown.shows(plan)):
            return None
        step = self._encoded(plan, watch)
        self._reporter.seen(step, counts=True)
        return step


class Decoding:
    """The decoder's thread: steps are appended, questions answered, alerts judged."""

    def __init__(
        self,
        watcher: Watcher,
        alerts: StandingAlerts,
        conditions: Conditions,
        reporter: Reporter,
        clock: Clock,
        aside: Aside,
    ) -> None:
        self._aside = aside
        self._newest: Step | None = None
        self._watcher = watcher
        self._alerts = alerts
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
            self._newest = encoded.step
            self._reporter.appended(work.plan, self._watcher.contexts)
            self._judge(work.plan.time, None, work.watch, work.plan)
        elif isinstance(work, GlanceWork):
            self._judge(work.moment, encoded.step, work.watch, work.tail)
        if not isinstance(work, QuestionWork) and (shown := encoded.step or self._newest):
            self._aside.offer(shown)
        self._reporter.spent(work.watch)

    def idle(self) -> bool:
        """Nothing waits: do a little of what is done beside; whether there was any."""
        return not self._halted and self._aside.work()

    def _stand(self, standing: Standing) -> None:
        """Take up a spoken request, or give up the alerts that it names."""
        if not standing.begins:
            self._alerts.remove_about(standing.text)
        elif len(self._alerts) >= MOST_ALERTS:
            self._reporter.said(f"{MOST_ALERTS} alerts stand already: {standing.text!r} is not one")
        else:
            alert = StandingAlert(standing.text, self._alerts.rule)
            try:
                self._watcher.asker.check(alert.question)
            except QuestionError as error:
                self._reporter.said(str(error))
                return
            self._alerts.add(alert)
        self._reporter.changed(self._alerts)

    def _answer(self, work: QuestionWork, encoded: Encoded) -> None:
        """Answer and report; a question that can't be answered gets a record that says why."""
        reply, answer, notes = None, None, [work.note, encoded.note]
        try:
            if self._halted:
                raise QuestionError(HALTED)
            if encoded.pictures:
                reply = self._watcher.ask_apart(work.question, encoded.pictures, work.watch)
            elif (recalled := self._aside.recall(work.question, work.moment)) is not None:
                answer = Answer(recalled.answer, None, work.watch.elapsed_ms)
                notes = [recalled.basis]
            elif work.tail is not None:
                (reply,) = self._watcher.ask([work.question], encoded.step, work.watch)
            if reply is not None:
                answer = reply.answer
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
                answer,
                work.watch.stages_ms(),
                *self._reporter.streams(),
                note="; ".join(filter(None, notes)) or None,
                without_gaze=reply.without_gaze if reply else None,
                heard=work.heard,
            ),
            work.question.ticket,
        )

    def _judge(self, moment: int, tail: Step | None, watch: Stopwatch, plan: StepPlan) -> None:
        """Ask every standing alert; questions that arrive meanwhile wait for this step only."""
        alerts = tuple(self._alerts)
        for alert, reply in zip(alerts, self._judgements(alerts, tail, watch), strict=False):
            chance = (reply.answer.probabilities or {}).get(YES, 0.0)
            raised = alert.judge(chance, moment)
            self._reporter.judged(Judgement(alert.text, moment, chance, raised))
            if not raised:
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

    def _judgements(
        self, alerts: Sequence[StandingAlert], tail: Step | None, watch: Stopwatch
    ) -> list[Reply]:
        """One per standing alert; none when the run was ended meanwhile."""
        if not alerts:
            return []
        try:
            questions = [alert.question for alert in alerts]
            return self._watcher.ask(questions, tail, watch)
        except QuestionError:
            return []
