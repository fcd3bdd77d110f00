"""Where news of the run comes in from its threads and goes out to every client.

The run's threads only append to a bounded queue and wake the server's event loop; all else happens
there. A client that is slow loses what is oldest, and slows nobody.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from typing import TypeVar

import msgspec

from devices.device import DeviceCondition, DeviceError
from runtime.answers.alerts import StandingAlert
from runtime.answers.listeners import AlertsChanged, Answered, Judgement, News, Notice, Piece, Seen
from runtime.answers.questions import Ticket
from runtime.answers.record import AlertRecord, AnswerRecord, Record, SecondRecord
from runtime.priority import be_nice
from runtime.server.outlet import Outlet
from runtime.server.sight import Sight, on_one_core, picture_message
from runtime.server.steps import KeptStep, KeptSteps, heat_message, kept_step

MOST_NEWS = 4096
MOST_HISTORY = 2000
PATIENCE = 2.0  # seconds that one waits for a step to be kept
BUSY_STEPS = 8  # that wait to be kept, or a picture to be drawn, at a time

Drawn = TypeVar("Drawn")


class Hub:
    """Made in the server's event loop; `hear` and `show` may be called from any thread."""

    def __init__(
        self,
        now: Callable[[], int],
        grid: tuple[int, int],
        condition: Callable[[], DeviceCondition | None] = lambda: None,
    ) -> None:
        """`condition`: of the device, which pages are told every second."""
        self.steps = KeptSteps()
        self.dropped: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.second: SecondRecord | None = None
        self.history: deque[bytes] = deque(maxlen=MOST_HISTORY)
        self.stages: deque[tuple[str, float]] = deque(maxlen=MOST_NEWS)
        self.answers: dict[Ticket, asyncio.Future[AnswerRecord]] = {}
        self._now, self._grid, self._condition = now, grid, condition
        self._loop = asyncio.get_running_loop()
        self._outlets: set[Outlet] = set()
        self._watching = 0
        self._news: deque[News] = deque(maxlen=MOST_NEWS)
        self._woken = False
        self._sight: Sight | None = None
        self._heat: Seen | None = None
        self._to_keep: deque[Seen] = deque(maxlen=BUSY_STEPS)
        self._keeping = False  # whether steps wait to be kept, or one is just drawn
        self._to_draw = asyncio.Event()
        self._drawing = ThreadPoolExecutor(1, "drawing", initializer=_give_way)

    def hear(self, news: News) -> None:
        """Take what happened; returns at once."""
        if len(self._news) == MOST_NEWS:
            self.dropped["news"] += 1
        self._news.append(news)
        if not self._woken:
            self._woken = True
            self._wake(self._drain)

    def show(self, sight: Sight) -> None:
        """Take the newest sight; what was not drawn before is dropped."""
        self.dropped["pictures"] += self._sight is not None
        self._sight = sight
        self._wake(self._to_draw.set)

    def is_watched(self) -> bool:
        """Whether anybody wants pictures."""
        return self._watching > 0

    def attach(self, outlet: Outlet) -> None:
        """A client has come."""
        self._outlets.add(outlet)
        self._watching += outlet.wants_pictures

    def detach(self, outlet: Outlet) -> None:
        """A client has left, whether or not it had come so far."""
        if outlet in self._outlets:
            self._outlets.remove(outlet)
            self._watching -= outlet.wants_pictures

    @property
    def clients(self) -> int:
        """How many are attached."""
        return len(self._outlets)

    def say(self, message: dict[str, object]) -> None:
        """Tell every page."""
        encoded = msgspec.json.encode(message)
        for outlet in self._outlets:
            outlet.put(encoded)

    def close(self) -> None:
        """End the thread that draws; what it is just drawing is waited for."""
        self._drawing.shutdown(cancel_futures=True)

    async def draw(self) -> None:
        """Draw pictures and keep steps, beside the event loop, for as long as the server runs."""
        while True:
            await self._to_draw.wait()
            self._to_draw.clear()
            try:
                await self._draw_once()
            except Exception as error:  # one that can't be drawn costs no other
                self.dropped["failed"] += 1
                if self.dropped["failed"] == 1:
                    line = f"a picture can't be drawn: {type(error).__name__}: {error}"
                    self.say({"type": "notice", "line": line})

    async def _draw_once(self) -> None:
        while self._to_keep:
            self.steps.keep(await self._beside(kept_step, self._to_keep.popleft().step))
        self._keeping = False
        sight, self._sight = self._sight, None
        if sight is not None:
            message = await self._beside(picture_message, sight, self._now())
            for outlet in self._watchers():
                outlet.show(message)
        heat, self._heat = self._heat, None
        if heat is not None and self._watching:
            message = await self._beside(heat_message, heat, self._grid)
            for outlet in self._watchers() if message else ():
                outlet.put(message)

    def _beside(self, work: Callable[..., Drawn], *given: object) -> asyncio.Future[Drawn]:
        return self._loop.run_in_executor(self._drawing, work, *given)

    async def kept(self, frame_at: int) -> KeptStep | None:
        """The step whose frame was captured then (Unix ns), as soon as those that wait are kept."""
        end = self._loop.time() + PATIENCE
        while (step := self.steps.find(frame_at)) is None and self._keeping:
            if self._loop.time() > end:
                break
            await asyncio.sleep(0.02)
        return step

    def _watchers(self) -> list[Outlet]:
        return [outlet for outlet in self._outlets if outlet.wants_pictures]

    def _wake(self, work: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the server has closed
            self._loop.call_soon_threadsafe(work)

    def _drain(self) -> None:
        self._woken = False
        while self._news:
            self._take(self._news.popleft())

    def _take(self, news: News) -> None:
        match news:
            case Seen():
                self._heat = news if news.unlooked is not None else self._heat
                if news.counts:
                    self._to_keep.append(news)
                    self._keeping = True
                self._to_draw.set()
            case Judgement():
                told = {"alert": news.alert, "probability": news.probability}
                told |= {"at": news.at / 1e6, "raised": news.raised}
                self.say({"type": "judgement", **told})
            case Notice():
                self.say({"type": "notice", "line": news.line})
            case Piece():
                self.say({"type": "piece", "text": news.text})
            case AlertsChanged():
                self.say(alerts_message(news.alerts))
            case Answered():
                waiting = self.answers.pop(news.ticket, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(news.record)
            case _:
                self._record(news)

    def _record(self, record: Record) -> None:
        encoded = msgspec.json.encode(record)
        self.counts[record.kind] += 1
        if isinstance(record, SecondRecord):
            self.second = record
            self._tell_condition()
        if isinstance(record, AnswerRecord | AlertRecord):
            self.history.append(encoded)
            stages = dict(record.stages_ms)
            if record.ttft_ms is not None:
                stages["time to first token"] = record.ttft_ms
            self.stages.extend(stages.items())
        self.say({"type": "record", "record": msgspec.Raw(encoded)})

    def _tell_condition(self) -> None:
        with suppress(DeviceError):  # it is just being disconnected
            if (condition := self._condition()) is not None:
                self.say({"type": "condition", **asdict(condition)})


def _give_way() -> None:
    """What is drawn for those who watch takes no time from what is computed for the answers."""
    be_nice()
    on_one_core()


def alerts_message(alerts: Iterable[StandingAlert]) -> dict[str, object]:
    """The alerts that stand, as pages are told of them."""
    told = [{"text": alert.text, "threshold": alert.rule.threshold} for alert in alerts]
    return {"type": "alerts", "alerts": told}
