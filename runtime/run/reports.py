"""Counts what happens in a live run and tells it, as records, to those who listen."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devices.clock import NANOSECONDS
from devices.device import Delivery, DeviceCounts, UnbalancedAccounts
from devices.samples import GazeSample, SceneFrame
from runtime.answers.alerts import StandingAlerts
from runtime.answers.listeners import AlertsChanged, Answered, Judgement, Listeners, Seen
from runtime.answers.questions import Ticket
from runtime.answers.record import (
    NANOSECONDS_PER_MILLISECOND,
    AnswerRecord,
    Conditions,
    SecondRecord,
    StreamFact,
    SummaryRecord,
    age_ms,
    alert_record,
    stream_fact,
)
from runtime.engines.tensors import Tensor
from runtime.run.accounts.frame_ledger import FrameLedger
from runtime.run.accounts.stage_times import StageTimes
from runtime.run.work import EncoderQueue
from runtime.stopwatch import Stopwatch
from runtime.stream.gaze_timeline import GazeTimeline
from runtime.stream.steps import Step, StepPlan

SECOND = NANOSECONDS
FRAME_AGE = "frame age when encoded"


@dataclass(slots=True)
class _Tally:
    started_at: int | None = None
    ended_at: int | None = None
    frame_at: int | None = None
    gaze_at: int | None = None
    step_at: int | None = None
    encoded_at: int | None = None
    second: int | None = None
    steps: int = 0
    steps_dropped: int = 0
    steps_left_out: int = 0
    glances_dropped: int = 0
    contexts: int = 0
    answers: int = 0
    known: int = 0
    right: int = 0
    alerts: int = 0


class Reporter:
    """Shared by the threads of a live run; every method takes the lock."""

    def __init__(
        self,
        listeners: Listeners,
        conditions: Conditions,
        counts: Callable[[], DeviceCounts],
        gaze: GazeTimeline,
        heard: Callable[[], tuple[int, Mapping[str, int]]] | None = None,
    ) -> None:
        """`heard`: how many pieces of sound were listened to, and dropped by cause; None where
        nobody listens."""
        self._heard = heard
        self._listeners = listeners
        self._conditions = conditions
        self._counts = counts
        self._gaze = gaze
        self._ledger = FrameLedger()
        self._times = StageTimes()
        self._tally = _Tally()
        self._lock = threading.RLock()

    def delivered(self, delivery: Delivery, cause: str) -> None:
        """A device delivered samples, and lines about itself.

        `cause`: why its frames are passed over, as far as it is known yet.
        """
        with self._lock:
            for line in delivery.notices:
                self._listeners.notice(line)
            for sample in delivery.samples:
                if isinstance(sample, SceneFrame):
                    self._ledger.arrive(sample.captured_at, cause)
                    self._tally.frame_at = sample.captured_at
                elif isinstance(sample, GazeSample):
                    self._tally.gaze_at = sample.captured_at

    def offered(self, captured_at: int, cause: str) -> None:
        """The pair whose newer frame was captured then waits for the encoder; see `delivered`."""
        with self._lock:
            self._ledger.blame(captured_at, cause)

    def encoded(self, captured_at: int) -> None:
        """The pair whose newer frame was captured then (Unix ns) is encoded."""
        with self._lock:
            self._ledger.encode(captured_at)

    def seen(self, step: Step, counts: bool, unlooked: Tensor | None = None) -> None:
        """A step is encoded: see `Seen`."""
        with self._lock:
            self._listeners.tell(Seen(step, counts, unlooked))

    def judged(self, judgement: Judgement) -> None:
        """A standing alert was judged."""
        with self._lock:
            self._listeners.tell(judgement)

    def kept_up(self, plan: StepPlan, now: int) -> None:
        """A step, or what was newest, is encoded at `now` (Unix ns): how old was its frame?

        Told once per pair of frames: gaze that is encoded anew does not count.
        """
        captured_at = plan.pair.newer_at
        with self._lock:
            if captured_at != self._tally.encoded_at:
                self._tally.encoded_at = captured_at
                self._times.add({FRAME_AGE: (now - captured_at) / NANOSECONDS_PER_MILLISECOND})

    def spent(self, watch: Stopwatch) -> None:
        """A piece of work is done."""
        with self._lock:
            self._times.add(watch.stages_ms())

    def appended(self, plan: StepPlan, contexts: int) -> None:
        """A step is in every open context."""
        with self._lock:
            self._tally.steps += 1
            self._tally.step_at = plan.time
            self._tally.contexts = contexts

    def left_out(self, reason: str) -> None:
        """A step is in no context, because it can't be encoded."""
        with self._lock:
            self._tally.steps_left_out += 1
            self._listeners.notice(f"a step is left out: {reason}")

    def answered(self, record: AnswerRecord, ticket: Ticket | None = None) -> None:
        """A question was answered; `ticket`: of whoever waits for it."""
        with self._lock:
            self._tally.answers += 1
            if record.truth is not None:
                self._tally.known += 1
                self._tally.right += record.truth == record.answer
            if record.ttft_ms is not None:
                self._times.add({"time to first token": record.ttft_ms})
            self._listeners.tell(record)
            if ticket is not None:
                self._listeners.tell(Answered(ticket, record))

    def raised(self, alert: str, judgement: AnswerRecord, plan: StepPlan, now: int) -> None:
        """An alert was raised at `now` (Unix ns), by what `plan` shows."""
        cause = plan.gaze.fixations[-1] if plan.gaze.fixations else None
        record = alert_record(alert, judgement, now, plan.pair.newer_at, cause)
        with self._lock:
            self._tally.alerts += 1
            self._listeners.tell(record)

    def tick(self, now: int, inbox: EncoderQueue) -> None:
        """Time has come to `now` (Unix ns); tells a record for every second of stream."""
        with self._lock:
            tally = self._tally
            tally.started_at = now if tally.started_at is None else tally.started_at
            tally.ended_at = now
            tally.steps_dropped = inbox.dropped_steps + tally.steps_left_out
            tally.glances_dropped = inbox.dropped_glances
            second = (now - tally.started_at) // SECOND
            if tally.second is not None and second == tally.second:
                return
            tally.second = second
            self._listeners.tell(self._second(now, len(inbox)))

    def streams(self) -> tuple[StreamFact, StreamFact]:
        """Frames and gaze so far."""
        with self._lock:
            counts = self._counts()
            frames = stream_fact(counts.frames, self._ledger.encoded, self._ledger.dropped)
            return frames, stream_fact(counts.gaze, self._gaze.used, self._gaze.dropped)

    def changed(self, alerts: StandingAlerts) -> None:
        """Other alerts stand than before."""
        with self._lock:
            self._listeners.tell(AlertsChanged(tuple(alerts)))

    def said(self, line: str) -> None:
        """A line for a person."""
        with self._lock:
            self._listeners.notice(line)

    def _sound(self) -> StreamFact | None:
        if self._heard is None:
            return None
        return stream_fact(self._counts().sound, *self._heard())

    def close(self) -> SummaryRecord:
        """The run is over: tell its summary."""
        with self._lock:
            self._ledger.close()
            frames, gaze = self.streams()
            tally, conditions = self._tally, self._conditions
            summary = SummaryRecord(
                started_at=tally.started_at,
                ended_at=tally.ended_at,
                answers=tally.answers,
                known=tally.known,
                right=tally.right,
                alerts=tally.alerts,
                steps=tally.steps,
                steps_dropped=tally.steps_dropped,
                glances_dropped=tally.glances_dropped,
                frames=frames,
                gaze=gaze,
                sound=self._sound(),
                stages=self._times.percentiles(),
                protocol=conditions.protocol,
                bundle=conditions.bundle,
                engine=conditions.engine,
            )
            self._listeners.tell(summary)
        self._check_accounts(summary)
        return summary

    def _check_accounts(self, summary: SummaryRecord) -> None:
        """Received = used + dropped, now that nothing waits. Where not, this program is at fault:
        a line for the wearer, and the warning UnbalancedAccounts, which ends a test, never a run.
        """
        facts = {"frames": summary.frames, "gaze": summary.gaze, "sound": summary.sound}
        for noun, fact in facts.items():
            if fact is None:
                continue
            missing = fact.received - fact.used - sum(fact.dropped.values())
            if missing:
                line = f"{noun}: {missing} of {fact.received} received are unaccounted for"
                self._listeners.notice(f"{line}: please report this")
                warnings.warn(line, UnbalancedAccounts, stacklevel=3)

    def _second(self, now: int, waiting: int) -> SecondRecord:
        tally = self._tally
        frames, gaze = self.streams()
        return SecondRecord(
            at=now,
            frames=frames,
            gaze=gaze,
            steps=tally.steps,
            steps_dropped=tally.steps_dropped,
            contexts=tally.contexts,
            waiting=waiting,
            frame_at=tally.frame_at,
            gaze_at=tally.gaze_at,
            step_at=tally.step_at,
            frame_age_ms=age_ms(now, tally.frame_at),
            gaze_age_ms=age_ms(now, tally.gaze_at),
            step_age_ms=age_ms(now, tally.step_at),
        )
