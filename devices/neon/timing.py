"""From the phone's clocks to the host's: the time echo, and the media clock of each stream."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from devices.clock import NANOSECONDS, Clock
from devices.neon.wire import SenderReport
from devices.waiting import within

_MILLISECOND = NANOSECONDS // 1000
TOLERANCE = 20 * _MILLISECOND
"""Two mappings this close differ by noise and drift; beyond it a clock was set."""
PLAUSIBLE_DELAY = 2 * NANOSECONDS
"""From capture to arrival, at most, as long as two mappings contradict each other."""
LONGEST_DELAY = 10 * NANOSECONDS
"""From capture to arrival, at most: what claims to be older has no date."""
LATEST_ECHO = 2**62 // _MILLISECOND
"""Milliseconds of Unix time beyond which an echo tells no time (the year 2116)."""
ECHO_REPEATS = 8
AGREEING = 100 * _MILLISECOND
"""An eye event's stamp and its packet's time so close are of one clock: they differ by delay."""
LONGEST_EVENT = 60 * NANOSECONDS


class EchoFailed(Exception):
    """The phone's time echo does not answer as it should."""


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """Host time = phone time + `offset` (ns), as measured at `measured_at` (Unix ns, host)."""

    offset: int
    measured_at: int


@dataclass(frozen=True, slots=True)
class Echo:
    """One time echo: sent and received (Unix ns, host), and the phone's answer (ms)."""

    sent_at: int
    received_at: int
    phone_ms: int


def offset_from(echoes: list[Echo]) -> int:
    """The offset (ns) that a row of echoes agrees on.

    The phone read its clock between sending and receiving, and cut it to whole milliseconds: each
    echo bounds the offset from both sides, and many bound it far below a millisecond. Echoes that
    contradict each other (the clock was set in between) give the median of their centres.
    """
    lows = [e.sent_at - (e.phone_ms + 1) * _MILLISECOND for e in echoes]
    highs = [e.received_at - e.phone_ms * _MILLISECOND for e in echoes]
    low, high = max(lows), min(highs)
    if low <= high:
        return (low + high) // 2
    return round(median((one + other) / 2 for one, other in zip(lows, highs, strict=True)))


async def measure_offset(address: str, port: int, clock: Clock, timeout: float) -> ClockOffset:
    """Ask the phone for its time, several times within `timeout` seconds. Raises EchoFailed."""
    try:
        async with within(timeout):
            echoes = await _echoes(address, port, clock)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise EchoFailed(str(error) or "no answer in time") from error
    return ClockOffset(offset_from(echoes), clock.now())


async def _echoes(address: str, port: int, clock: Clock) -> list[Echo]:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        echoes = []
        for _ in range(ECHO_REPEATS):
            sent_at = clock.now()
            question = struct.pack("!Q", sent_at // _MILLISECOND)
            writer.write(question)
            answer = await reader.readexactly(16)
            received_at = clock.now()
            if answer[:8] != question:
                raise EchoFailed("it answers another question")
            echoes.append(Echo(sent_at, received_at, phone_time(answer)))
            # Different fractions of the phone's millisecond narrow the bounds.
            await asyncio.sleep(0.0013)
        return echoes
    finally:
        writer.close()


def phone_time(answer: bytes) -> int:
    """The phone's time (ms) in a time echo of 16 bytes. Raises EchoFailed."""
    (milliseconds,) = struct.unpack("!Q", answer[8:])
    if milliseconds > LATEST_ECHO:
        raise EchoFailed(f"it says that {milliseconds} ms have passed since 1970")
    return milliseconds


@dataclass(frozen=True, slots=True)
class _Anchor:
    """The media clock showed `timestamp` at `moment` (Unix ns, host)."""

    timestamp: int
    moment: int

    def at(self, timestamp: int, rate: int) -> int:
        ticks = (timestamp - self.timestamp + 2**31) % 2**32 - 2**31
        return self.moment + ticks * NANOSECONDS // rate


class StreamClock:
    """Maps the RTP timestamps of one connection to the host's clock.

    A sender report relates them to the phone's clock, the time echo that to the host's. When the
    phone's clock is set, one of the two is known earlier than the other, and together they are
    wrong: then the present mapping is kept until a report and an echo that both came after the
    contradiction confirm the new one, or until the present one dates packets into the future while
    the new one does not. One that dates its own report into the future or long ago is never
    believed. Nothing is dated before the connection's first report and the first echo,
    nor into the future, nor more than LONGEST_DELAY into the past.
    """

    def __init__(self, rate: int, ask_for_echo: Callable[[], None]) -> None:
        """`rate`: ticks per second. `ask_for_echo` is called when a new echo is needed soon."""
        self._rate = rate
        self._ask_for_echo = ask_for_echo
        self._report: SenderReport | None = None
        self._reported_at = 0
        self._offset: ClockOffset | None = None
        self._anchor: _Anchor | None = None
        self._disputed_at: int | None = None

    def report(self, report: SenderReport, now: int) -> None:
        """Take a sender report that arrived at `now` (Unix ns, host)."""
        self._report, self._reported_at = report, now
        self._settle(now)

    def set_offset(self, offset: ClockOffset) -> None:
        """Take a new measurement of the phone's clock."""
        self._offset = offset
        self._settle(offset.measured_at)

    def date(self, timestamp: int, arrived_at: int) -> int | None:
        """The capture time (Unix ns, host) of a packet; None while it can't be known."""
        if self._anchor is None:
            return None
        moment = self._anchor.at(timestamp, self._rate)
        delay = arrived_at - moment
        disputed = self._disputed_at is not None
        if -TOLERANCE <= delay <= (PLAUSIBLE_DELAY if disputed else LONGEST_DELAY):
            return moment
        candidate = self._candidate()
        if disputed and candidate is not None:
            other = candidate.at(timestamp, self._rate)
            if -TOLERANCE <= arrived_at - other <= PLAUSIBLE_DELAY:
                self._adopt(candidate)
                return other
        self._ask_for_echo()
        return None

    def _candidate(self) -> _Anchor | None:
        """The mapping by the newest report and the newest echo."""
        if self._report is None or self._offset is None:
            return None
        return _Anchor(self._report.timestamp, self._report.moment + self._offset.offset)

    def _settle(self, now: int) -> None:
        candidate = self._candidate()
        if candidate is None:
            return
        first = self._anchor is None
        if (not first and self._agrees(candidate)) or (
            self._is_plausible(candidate) and (first or self._confirmed())
        ):
            self._adopt(candidate)
        elif first:
            self._ask_for_echo()
        elif self._disputed_at is None:
            self._disputed_at = now
            self._ask_for_echo()

    def _is_plausible(self, candidate: _Anchor) -> bool:
        """Whether it dates the report that it is made of when that came: one of the two may lie."""
        return -TOLERANCE <= self._reported_at - candidate.moment <= LONGEST_DELAY

    def _agrees(self, candidate: _Anchor) -> bool:
        present = self._anchor.at(candidate.timestamp, self._rate)
        return abs(candidate.moment - present) <= TOLERANCE

    def _confirmed(self) -> bool:
        since = self._disputed_at
        return since is not None and self._reported_at > since and self._offset.measured_at > since

    def _adopt(self, candidate: _Anchor) -> None:
        self._anchor, self._disputed_at = candidate, None


class EventClock:
    """Dates the stamps of one connection's eye events.

    Some phones stamp them by another clock than that of their sender reports, constantly minutes
    apart (a printed sample of Pupil Labs: 571 s). The packet's own time is that of a fixation's
    end, of an onset's or of a blink's start; by the difference stamps come to everybody's clock.
    """

    def __init__(self) -> None:
        self._apart = 0

    def added(self, offset: ClockOffset, captured_at: int, *stamps: int) -> int:
        """What to add (ns) to the stamps of an event whose packet is of `captured_at` (Unix ns).

        `stamps`: those that the packet's time may be of, the likeliest first.
        """
        apart = [captured_at - stamp - offset.offset for stamp in stamps]
        if min(abs(each - self._apart) for each in apart) > AGREEING:
            self._apart = 0 if min(map(abs, apart)) <= AGREEING else apart[0]
        return offset.offset + self._apart
