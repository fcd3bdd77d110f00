"""Keeps the phone's streams alive: stalls, reconnecting, the transport, the time echo."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from devices.clock import NANOSECONDS, Clock
from devices.complaints import Complaints, reason
from devices.mailbox import Mailbox
from devices.mailbox import Stream as Lane
from devices.neon.loss import LossMeter
from devices.neon.phone import Phone, PhoneConfused, PhoneSilent
from devices.neon.rtsp.connection import SessionFailed
from devices.neon.rtsp.session import NoSuchMedium, Session, Transport
from devices.neon.status import PhoneStatus
from devices.neon.stream import Stream, Watched
from devices.neon.timing import ClockOffset, EchoFailed, measure_offset
from devices.silence import SilenceWatch
from devices.waiting import together, within

LOOK_SPACING = 0.05
DEAF = 1.2
"""Seconds without a first packet after which UDP is taken to be blocked."""
BACKOFF = (0.1, 0.2, 0.4, 0.5)
"""Seconds before one attempt to connect and the next; the last one stays."""
STATUS_SPACING = 5.0
ECHO_SPACING, ECHO_TIMEOUT = 0.5, 0.4
LOSS_LIMIT = 0.001


class Interrupted(Exception):
    """A stream has to be connected anew. The message says why in a few words."""


class Supervisor:
    """Opens the phone's streams and keeps them open. Runs in the device's event loop."""

    def __init__(
        self,
        phone: Phone,
        status: PhoneStatus,
        streams: dict[Lane | None, Stream],
        mailbox: Mailbox,
        clock: Clock,
        transport: Transport | None,
    ) -> None:
        """`transport` None: UDP, and TCP from the first measured loss above 0.1 % on."""
        self._phone = phone
        self._echo_port = status.echo_port
        self._urls = status.urls
        self._watched = [Watched(stream, lane) for lane, stream in streams.items()]
        self._mailbox = mailbox
        self._clock = clock
        self._may_change = transport is None
        self.transport: Transport = transport or "udp"
        self.status = status
        self.loss: float | None = None
        self.offset: ClockOffset | None = None
        self._meter = LossMeter()
        self._silence = SilenceWatch(mailbox)
        self._faults = Complaints(mailbox.note)
        self._echo_wanted = asyncio.Event()
        self._renewals = 0
        self._silent = False
        self._leaving = False

    def leave(self) -> None:
        """To be called before `run` is cancelled.

        Up to Python 3.11, asyncio.wait_for, which the client library waits with, forgets that it
        was cancelled if what it waits for happens at the same time.
        """
        self._leaving = True

    @property
    def has_events(self) -> bool:
        """Whether the phone's own fixations come."""
        return any(watched.lane is None for watched in self._watched)

    @property
    def has_sound(self) -> bool:
        """Whether the microphone's sound comes."""
        return any(watched.lane == "sound" for watched in self._watched)

    def ask_for_echo(self) -> None:
        """Let the next time echo come at once."""
        self._echo_wanted.set()

    async def open(self) -> None:
        """Connect every stream. Raises SessionFailed; eye events are done without."""
        await self._measure_offset()
        await together(*(self._connect_first(watched) for watched in self._watched))
        self._watched = [w for w in self._watched if w.session is not None]

    async def _connect_first(self, watched: Watched) -> None:
        try:
            await self._connect(watched)
        except NoSuchMedium:
            self._mailbox.note(watched.stream.missing)
        except SessionFailed as error:
            if watched.is_needed:
                raise type(error)(f"{watched.stream.noun}: {error}") from error
            self._mailbox.note(f"{watched.stream.noun}: {error}; going on without them")

    async def run(self) -> None:
        """Keep everything going until it is cancelled; then close the sessions."""
        try:
            await together(
                self._always("its streams", self._look),
                self._always("its clock", self._follow_clock),
                self._always("its status", self._follow_status),
                *(
                    self._always(watched.stream.noun, lambda each=watched: self._keep(each))
                    for watched in self._watched
                ),
            )
        finally:
            await self.close()

    async def _always(self, noun: str, work: Callable[[], Awaitable[None]]) -> None:
        """Let some work begin again when it ends by what nobody foresaw, and say so; the other
        work goes on meanwhile."""
        while not self._leaving:
            try:
                await work()
            except Exception as error:
                self._unforeseen(noun, error)
            await asyncio.sleep(BACKOFF[-1])

    def _unforeseen(self, noun: str, error: Exception) -> None:
        self._faults.add(f"{noun}: {reason(error)}; trying again", self._clock.now())

    async def close(self) -> None:
        """Close every session, with a word of farewell to the phone."""
        sessions = [w.session for w in self._watched if w.session is not None]
        closings = (session.close(farewell=True) for session in sessions)
        await asyncio.gather(*closings, return_exceptions=True)

    async def _connect(self, watched: Watched) -> None:
        """Open one stream at the phone's present address of it."""
        stream = watched.stream
        url = self._urls.get(stream.camera)
        if url is None:
            raise SessionFailed(f"the phone has no {stream.noun} now: are the glasses connected?")
        session = watched.session = Session(url, self.transport, stream, stream.medium)
        try:
            stream.begin(await session.open())
            await session.play()
        except BaseException:
            watched.session = None
            await session.close(farewell=False)
            raise

    async def _keep(self, watched: Watched) -> None:
        attempts = 0
        while not self._leaving:
            try:
                if watched.session is None:
                    await self._refresh()
                    await self._connect(watched)
                if await self._watch(watched, watched.session):
                    attempts = 0
                    continue
            except PhoneSilent as error:
                self._say_silent(error)
            except (SessionFailed, Interrupted) as error:
                if watched.stream.last_packet_at is not None:
                    attempts = 0
                self._say(watched, f"{watched.stream.noun}: {error}; connecting anew")
            except Exception as error:
                self._unforeseen(watched.stream.noun, error)
            if watched.session is not None:
                await watched.session.close(farewell=False)
                watched.session = None
            if watched.is_needed:
                self._renewals += 1
            await asyncio.sleep(BACKOFF[min(attempts, len(BACKOFF) - 1)])
            attempts += 1

    async def _watch(self, watched: Watched, session: Session) -> bool:
        """Until the stream has to be connected anew; returns True if nothing is wrong with it."""
        opened_at, transport, renewals = self._clock.now(), self.transport, self._renewals
        stream, kept_at = watched.stream, opened_at
        while not self._leaving:
            await asyncio.sleep(LOOK_SPACING)
            now = self._clock.now()
            renewed = watched.lane is None and renewals != self._renewals
            if transport != self.transport or renewed:
                watched.session = None
                await session.close(farewell=True)
                return True
            if not session.running:
                raise Interrupted("the phone closed the connection")
            if watched.lane is not None and (trouble := stream.trouble(opened_at, now)):
                raise Interrupted(trouble)
            if now - kept_at > session.keep_alive_spacing * NANOSECONDS:
                kept_at = now
                await session.keep_alive()
        return True

    async def _refresh(self) -> None:
        """A phone that was restarted listens elsewhere."""
        self.status = await self._phone.status()
        self._urls, self._echo_port = self.status.urls, self.status.echo_port
        self._silent = False

    async def _look(self) -> None:
        """Several times a second: what stalled, what is final, how much is lost."""
        started_at = self._clock.now()
        while True:
            now = self._clock.now()
            for watched in self._watched:
                watched.stream.tick(now)
                if watched.lane is not None:
                    self._look_at(watched, watched.lane, started_at, now)
            self._faults.look(now)
            self._look_at_loss(started_at, now)
            await asyncio.sleep(LOOK_SPACING)

    def _look_at(self, watched: Watched, lane: Lane, started_at: int, now: int) -> None:
        stream = watched.stream
        heard_at, dated_at = stream.heard_at or started_at, stream.dated_at or started_at
        if self._silence.look(lane, stream.noun, heard_at, dated_at, now):
            watched.said = None

    def _look_at_loss(self, started_at: int, now: int) -> None:
        totals = [watched.stream.totals() for watched in self._watched]
        self.loss = self._meter.measure(
            now, sum(expected for expected, _ in totals), sum(lost for _, lost in totals)
        )
        if self.loss is not None and self.loss > LOSS_LIMIT:
            self._leave_udp(f"{self.loss:.2%} of the packets are lost over UDP")
        elif now - started_at > DEAF * NANOSECONDS and not any(
            watched.stream.heard_at for watched in self._watched
        ):
            self._leave_udp("nothing arrives over UDP")

    def _leave_udp(self, reason: str) -> None:
        if self._may_change and self.transport == "udp":
            self.transport = "tcp"
            self._mailbox.note(f"{reason}: changing to TCP (rtspt)")

    def _say(self, watched: Watched, line: str) -> None:
        if line != watched.said:
            watched.said = line
            self._mailbox.note(line)

    def _say_silent(self, error: PhoneSilent) -> None:
        if not self._silent:
            self._silent = True
            said = f"the phone does not answer ({error})"
            if isinstance(error, PhoneConfused):
                said = f"the phone answers strangely: {error}"
            self._mailbox.note(f"{said}; trying again")

    async def _follow_clock(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with within(ECHO_SPACING):
                    await self._echo_wanted.wait()
            self._echo_wanted.clear()
            await self._measure_offset()
            await asyncio.sleep(LOOK_SPACING)

    async def _measure_offset(self) -> None:
        now = self._clock.now()
        if self._echo_port is None:
            if self.offset is None:
                self._mailbox.note(
                    "the phone offers no time echo: its clock is taken to agree with the computer's"
                )
            self.offset = ClockOffset(0, now)
        else:
            with suppress(EchoFailed):
                self.offset = await measure_offset(
                    self._phone.address, self._echo_port, self._clock, ECHO_TIMEOUT
                )
        if self.offset is not None and self.offset.measured_at >= now:
            for watched in self._watched:
                watched.stream.set_offset(self.offset)

    async def _follow_status(self) -> None:
        battery = "OK"
        while True:
            state, level = self.status.battery_state, self.status.battery_level
            if state is not None and state != battery:
                battery = state
                percent = "" if level is None else f": {level} %"
                self._mailbox.note(f"the phone's battery is {state}{percent}")
            await asyncio.sleep(STATUS_SPACING)
            with suppress(PhoneSilent):
                await self._refresh()
