"""The live run: capture, encoder and decoder, each on its own thread.

Nothing is shared but queues and immutable work. Work keeps the order of capture, so that how fast
the machine is changes when an answer comes, never what it rests on.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from devices.clock import NANOSECONDS, SimulatedClock
from devices.device import Delivery, Device
from runtime.answers.alerts import StandingAlerts
from runtime.answers.aside import Aside, NothingAside
from runtime.answers.record import Conditions
from runtime.answers.watcher import Watcher
from runtime.model.brake import ANSWERING, BUSY, UNNEEDED, Brake
from runtime.model.encoder import Encoder
from runtime.run.capture import Capture
from runtime.run.reports import Reporter
from runtime.run.work import Encoded, EncoderQueue, QuestionWork
from runtime.run.workers import Decoding, Encoding

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
        alerts: StandingAlerts,
        conditions: Conditions,
        reporter: Reporter,
        stays: bool,
        brake: Brake | None,
        on_delivery: Callable[[Delivery, int], None] = lambda delivery, now: None,
        aside: Aside | None = None,
    ) -> None:
        """`stays`: whether to go on when every question is answered, until the device ends.

        `brake`: how often the newest frames are encoded with the newest gaze, so that a question
        finds them encoded; None encodes what is needed alone. `on_delivery` hears of all that the
        device delivers, and when (Unix ns). `aside`: what is done when nothing waits for the
        decoder.
        """
        self._device = device
        self._capture = stages.capture
        self._encoding = Encoding(stages.encoder, reporter, device.clock, brake or Brake())
        told = conditions, reporter, device.clock, aside or NothingAside()
        self._decoding = Decoding(stages.watcher, alerts, *told)
        self._reporter = reporter
        self._stays = stays
        self._brake = brake
        self._on_delivery = on_delivery
        self._inbox = EncoderQueue()
        self._outbox: queue.SimpleQueue[Encoded | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None

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
            more = self._look(over)
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
                more = self._look(over)
        finally:
            self._close(give_up=more)
            for thread in threads:
                thread.join()
        if self._failure is not None:
            raise self._failure

    def _close(self, give_up: bool) -> None:
        """Nothing more is captured; `give_up`: what waits is not worked on, but said."""
        if give_up:
            self._encoding.halt()
            self._decoding.halt()
        self._inbox.close(discard=give_up)

    def _look(self, over: Callable[[], bool]) -> bool:
        """One look at the device; whether there is more to come."""
        clock, capture = self._device.clock, self._capture
        now = clock.now()
        delivery = self._device.poll()
        self._reporter.delivered(delivery, self._cause(now))
        for work in capture.take_in(delivery, now):
            self._inbox.put(work)
        self._on_delivery(delivery, now)
        if self._brake is not None:
            self._offer_newest(self._brake, now)
        self._reporter.tick(now, self._inbox)
        done = capture.is_idle and (delivery.ended or not self._stays or over())
        if not done:
            clock.sleep_until(now + TICK)
        return not done

    def _offer_newest(self, brake: Brake, now: int) -> None:
        inbox = self._inbox
        newest = self._capture.newest(now, lambda p: brake.lets_through(p, inbox.newest, now))
        if newest is not None:
            inbox.offer(newest)
            cause = ANSWERING if inbox.is_answering else BUSY
            self._reporter.offered(newest.pair.newer_at, cause)

    def _cause(self, now: int) -> str:
        """Why a frame that comes at `now` is passed over, should it be."""
        if self._brake is None:
            return UNNEEDED
        return ANSWERING if self._inbox.is_answering else self._brake.cause(now) or BUSY

    def _work_once(self) -> bool:
        """Do one thing that waits; whether there was any."""
        taken = self._inbox.take(timeout=0.0)
        if taken is None:
            return self._decoding.idle()
        if (encoded := self._encoding.work(taken)) is not None:
            self._decode(encoded)
        return True

    def _decode(self, encoded: Encoded) -> None:
        self._decoding.work(encoded)
        if isinstance(encoded.work, QuestionWork):
            self._inbox.answered()

    def _encode_all(self) -> None:
        while (taken := self._inbox.take(timeout=None)) is not None:
            encoded = self._encoding.work(taken)
            if encoded is not None:
                self._outbox.put(encoded)
        self._outbox.put(None)

    def _decode_all(self) -> None:
        while (encoded := self._next_encoded()) is not None:
            self._decode(encoded)

    def _next_encoded(self) -> Encoded | None:
        """Wait for it; what is done beside fills the time, one run of a graph after the other.

        None is begun while a question is on its way here: it may be encoded before that is over.
        """
        while self._outbox.empty() and not self._inbox.is_answering and self._decoding.idle():
            pass
        return self._outbox.get()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._failure = error
            self._inbox.close(discard=True)
            self._outbox.put(None)
