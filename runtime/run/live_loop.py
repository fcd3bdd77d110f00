"""The live run: capture, encoder and decoder, each on its own thread.

Nothing is shared but queues and immutable work. Work keeps the order of capture, so that how fast
the machine is changes when an answer comes, never what it rests on.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devices.clock import NANOSECONDS, SimulatedClock
from devices.device import Delivery, Device
from runtime.answers.alerts import YES, StandingAlert
from runtime.answers.questions import HALTED
from runtime.answers.record import Conditions, answer_record
from runtime.answers.watcher import Reply, Watcher
from runtime.errors import QuestionError
from runtime.model.encoder import Encoder
from runtime.run.capture import Capture
from runtime.run.reports import Reporter
from runtime.run.work import Encoded, EncoderQueue, GlanceWork, QuestionWork, StepWork, Work
from runtime.stopwatch import Stopwatch
from runtime.stream.steps import Step, StepFact, StepPlan

TICK = int(0.005 * NANOSECONDS)  # between two looks at the device


@dataclass(frozen=True, slots=True)
class Stages:
    """What a live run consists of; each is used by one thread only."""

    capture: Capture
    encoder: Encoder
    watcher: Watcher


class LiveLoop:
    """Runs until the device has ended and everything asked is answered, or `stop` says so."""

    def __init__(
        self,
        device: Device,
        stages: Stages,
        alerts: Sequence[StandingAlert],
        conditions: Conditions,
        reporter: Reporter,
        stays: bool,
        eager: bool,
        on_delivery: Callable[[Delivery, int], None] = lambda delivery, now: None,
    ) -> None:
        """`stays`: whether to go on when every question is answered, until the device ends.

        `eager`: whether to encode the newest frames with the newest gaze whenever there is time, so
        that a question finds them encoded. `on_delivery` hears of all that the device delivers, and
        when (Unix ns).
        """
        self._device = device
        self._stages = stages
        self._alerts = alerts
        self._conditions = conditions
        self._reporter = reporter
        self._stays = stays
        self._eager = eager
        self._on_delivery = on_delivery
        self._inbox = EncoderQueue()
        self._outbox: queue.SimpleQueue[Encoded | None] = queue.SimpleQueue()
        self._shown: StepFact | None = None
        self._failure: BaseException | None = None
        self._halted = False

    def run(
        self,
        stopped: Callable[[], bool] = lambda: False,
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Watch the device. On a simulated clock everything runs in this thread.

        `stopped`: someone wants it to end: after the running graph, what waits is given up. `over`:
        its time is up: it ends as soon as everything asked by then is answered.
        """
        if isinstance(self._device.clock, SimulatedClock):
            self._run_inline(stopped, over)
        else:
            self._run_threads(stopped, over)

    def _run_inline(self, stopped: Callable[[], bool], over: Callable[[], bool]) -> None:
        more = True
        while more and not stopped():
            more = self._capture(over)
            self._work_once()
        self._close(give_up=more)
        while self._work_once():
            pass

    def _run_threads(self, stopped: Callable[[], bool], over: Callable[[], bool]) -> None:
        threads = [
            threading.Thread(target=self._guarded, args=(work,), name=name)
            for name, work in (("encoder", self._encode_all), ("decoder", self._decode_all))
        ]
        for thread in threads:
            thread.start()
        more = True
        try:
            while more and not stopped() and self._failure is None:
                more = self._capture(over)
        finally:
            self._close(give_up=more)
            for thread in threads:
                thread.join()
        if self._failure is not None:
            raise self._failure

    def _close(self, give_up: bool) -> None:
        """Nothing more is captured; `give_up`: what waits is not worked on, but said."""
        if give_up:
            self._halted = True
            self._stages.watcher.asker.halt()
        self._inbox.close(discard=give_up)

    def _work_once(self) -> bool:
        """Do one thing that waits; whether there was any."""
        taken = self._inbox.take(timeout=0.0)
        if taken is not None and (encoded := self._encode(taken)) is not None:
            self._decode(encoded)
        return taken is not None

    def _capture(self, over: Callable[[], bool]) -> bool:
        """One look at the device; whether there is more to come."""
        clock, capture = self._device.clock, self._stages.capture
        now = clock.now()
        delivery = self._device.poll()
        for line in delivery.notices:
            self._reporter.notice(line)
        self._reporter.delivered(delivery)
        for work in capture.take_in(delivery, now):
            self._inbox.put(work)
        self._on_delivery(delivery, now)
        if self._eager and (newest := capture.newest(now)) is not None:
            self._inbox.offer(newest)
        self._reporter.tick(now, self._inbox)
        done = capture.is_idle and (delivery.ended or not self._stays or over())
        if not done:
            clock.sleep_until(now + TICK)
        return not done

    def _encode_all(self) -> None:
        while (taken := self._inbox.take(timeout=None)) is not None:
            encoded = self._encode(taken)
            if encoded is not None:
                self._outbox.put(encoded)
        self._outbox.put(None)

    def _decode_all(self) -> None:
        while (encoded := self._outbox.get()) is not None:
            self._decode(encoded)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._failure = error
            self._inbox.close(discard=True)
            self._outbox.put(None)

    def _encode(self, taken: Work | StepPlan) -> Encoded | None:
        if isinstance(taken, StepPlan):
            watch = Stopwatch()
            self._encoded(taken, watch)
            self._reporter.kept_up(taken, self._device.clock.now())
            self._reporter.spent(watch)
            return None
        if isinstance(taken, StepWork):
            step = self._encoded(taken.plan, taken.watch)
            self._reporter.kept_up(taken.plan, self._device.clock.now())
            self._shown = StepFact.of(taken.plan)
            return Encoded(taken, step)
        return Encoded(taken, self._encoded_tail(taken.tail, taken.watch))

    def _encoded(self, plan: StepPlan, watch: Stopwatch) -> Step:
        step = self._stages.encoder.encode(plan, watch)
        self._reporter.encoded(plan.pair.newer_at)
        return step

    def _encoded_tail(self, plan: StepPlan | None, watch: Stopwatch) -> Step | None:
        """The tail step; None where the newest step shows the same, or nothing was seen yet."""
        if plan is None or self._halted or (self._shown is not None and self._shown.shows(plan)):
            return None
        return self._encoded(plan, watch)

    def _decode(self, encoded: Encoded) -> None:
        work, watcher = encoded.work, self._stages.watcher
        if isinstance(work, QuestionWork):
            self._answer(work, encoded.step)
        elif self._halted:
            return
        elif isinstance(work, StepWork) and encoded.step is not None:
            watcher.append(encoded.step, work.watch)
            self._reporter.appended(work.plan, watcher.contexts)
            self._judge(work.plan.time, None, work.watch, work.plan)
        elif isinstance(work, GlanceWork):
            self._judge(work.moment, encoded.step, work.watch, work.tail)
        self._reporter.spent(work.watch)

    def _answer(self, work: QuestionWork, tail: Step | None) -> None:
        """Answer and report; a question that can't be answered gets a record that says why."""
        reply, note = None, work.note
        try:
            if self._halted:
                raise QuestionError(HALTED)
            if work.tail is not None:
                (reply,) = self._stages.watcher.ask([work.question], tail, work.watch)
        except QuestionError as error:
            note = "; ".join(filter(None, (str(error), note)))
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
                note=note,
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
            )
            self._reporter.raised(alert.text, record, plan, self._device.clock.now())

    def _judgements(self, tail: Step | None, watch: Stopwatch) -> list[Reply]:
        """One per standing alert; none when the run was ended meanwhile."""
        if not self._alerts:
            return []
        try:
            questions = [alert.question for alert in self._alerts]
            return self._stages.watcher.ask(questions, tail, watch)
        except QuestionError:
            return []
