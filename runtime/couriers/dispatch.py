"""All couriers of a run, on a thread of their own: the run only drops records into their boxes."""

from __future__ import annotations

import argparse
import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from runtime.answers.listeners import Listeners, News
from runtime.answers.record import AnswerRecord
from runtime.couriers.courier import Carrier, Courier, Parcel

PARTING = 0.4  # seconds that what waits at the end of a run has to be carried
LEAVE = 0.2  # seconds that a receiver has to be taken leave of

Posting = tuple[Carrier, tuple[str, ...]]


class Dispatch:
    """Takes news from any thread, and never waits for a receiver."""

    def __init__(self, postings: Sequence[Posting], notice: Callable[[str], None]) -> None:
        """`postings`: each carrier, and the kinds of records that go its way."""
        self._postings, self._notice = postings, notice
        self._loop = asyncio.new_event_loop()
        self._couriers: list[Courier] = []
        self._is_over: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="couriers", daemon=True)
        self._thread.start()
        self._ready.wait()

    def hear(self, news: News) -> None:
        """Take an answer or an alert; returns at once."""
        if isinstance(news, AnswerRecord):
            with suppress(RuntimeError):  # closed
                self._loop.call_soon_threadsafe(self._take, news)

    def close(self) -> None:
        """Carry what can be carried within a moment, say what can't; done within a second."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end)
        self._thread.join(timeout=1.0)

    def _take(self, record: AnswerRecord) -> None:
        parcel = Parcel(record.kind, msgspec.json.encode(record), uuid.uuid4().hex)
        for courier in self._couriers:
            courier.take(parcel)

    def _end(self) -> None:
        assert self._is_over is not None
        self._is_over.set()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._work())
        finally:
            self._ready.set()
            self._loop.close()

    async def _work(self) -> None:
        self._is_over = asyncio.Event()
        self._couriers = [Courier(*posting, self._notice) for posting in self._postings]
        tasks = [asyncio.create_task(self._guarded(courier)) for courier in self._couriers]
        self._ready.set()
        await self._is_over.wait()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._emptied(), PARTING)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        closing = [asyncio.create_task(courier.close()) for courier in self._couriers]
        _, late = await asyncio.wait(closing, timeout=LEAVE)
        for task in late:
            task.cancel()

    async def _guarded(self, courier: Courier) -> None:
        """What a courier did not foresee ends that courier, in a line."""
        try:
            await courier.work()
        except Exception as error:
            self._notice(f"{courier.name} failed: {type(error).__name__}: {error}")

    async def _emptied(self) -> None:
        while not all(courier.is_idle for courier in self._couriers):
            await asyncio.sleep(0.01)


def postings_of(options: argparse.Namespace) -> list[Posting]:
    """What the command line asks to be told. Raises RuntimeFault."""
    from runtime.couriers.webhook import Webhook

    hooks: list[Posting] = [
        *((Webhook("--on-alert", url), ("alert",)) for url in options.on_alert),
        *((Webhook("--on-answer", url), ("answer",)) for url in options.on_answer),
    ]
    if options.mqtt is not None:
        from runtime.couriers.broker import Broker

        hooks.append((Broker(options.mqtt), ("answer", "alert")))
    return hooks


@contextmanager
def couriers(options: argparse.Namespace, listeners: Listeners) -> Iterator[None]:
    """While it is entered, couriers carry what the command line asks for. Raises RuntimeFault."""
    if not (options.on_alert or options.on_answer or options.mqtt):
        yield  # no such run waits for the libraries
        return
    dispatch = Dispatch(postings_of(options), listeners.notice)
    listeners.subscribe("couriers", dispatch.hear)
    try:
        yield
    finally:
        dispatch.close()
