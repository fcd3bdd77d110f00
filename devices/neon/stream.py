"""What the phone's streams have in common: from packets to packets in turn, from one known sender,
with dates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from devices.clock import NANOSECONDS, Clock
from devices.complaints import Complaints, reason
from devices.mailbox import Mailbox
from devices.mailbox import Stream as Lane
from devices.neon import wire
from devices.neon.rtsp.description import Description, Medium
from devices.neon.rtsp.session import Session
from devices.neon.sequence import Arrival, Sequencer
from devices.neon.source import HeardReport, Source
from devices.neon.timing import ClockOffset, StreamClock

BEFORE_REPORT = "before the first sender report"
GIVE_UP = 1.5
"""Seconds without a packet after which it is connected anew."""
PATIENCE = 6.0
"""Seconds for what gives packets a meaning (sender reports, dates, parameters), likewise."""


class Stream(ABC):
    """One of the phone's streams. Its methods run in the device's event loop.

    Unix ns of the host, None before the first time: `last_packet_at` is when this connection last
    received something of its own, `heard_at` when any did; `dated_here_at` and `dated_at` likewise
    when there was a date for it. `garbage` counts packets that could not be read, or came from
    somebody else. `medium`: which of its session it is; `missing`: said where there is none.
    Whatever is in a packet, its callback returns: what was not foreseen is said once
    a second, and counted.
    """

    camera: str
    noun: str
    medium: Medium = "video"
    missing = "the phone has no such stream"
    patience: int
    held: int

    def __init__(self, mailbox: Mailbox, clock: Clock, ask_for_echo: Callable[[], None]) -> None:
        self._mailbox = mailbox
        self._now = clock.now
        self._ask_for_echo = ask_for_echo
        self._offset: ClockOffset | None = None
        self._faults = Complaints(mailbox.note)
        self.garbage = 0
        self.last_packet_at: int | None = None
        self.heard_at: int | None = None
        self.dated_at: int | None = None
        self.dated_here_at: int | None = None
        self.reported = False
        self._source = Source(None)
        self._told = False
        self._past = (0, 0)
        self._sequencer = Sequencer(self.patience, self.held)
        self.begin(Description(wire.MEDIA_CLOCK, 0, ()))

    def begin(self, description: Description) -> None:
        """A new connection: nothing of the one before is believed any more."""
        self._payload_type = description.payload_type
        self._clock = StreamClock(description.rate, self._ask_for_echo)
        if self._offset is not None:
            self._clock.set_offset(self._offset)
        self._past = self.totals()
        self._sequencer = Sequencer(self.patience, self.held)
        # A source that was told, and of which nothing came, was told wrongly.
        believed = not self._told or self.last_packet_at is not None
        self._source = Source(description.source if believed else None)
        self._told = self._source.pinned is not None
        self.last_packet_at = self.dated_here_at = None
        self.reported = False

    def trouble(self, opened_at: int, now: int) -> str | None:
        """Why a connection that was opened at `opened_at` is of no use any more at `now` (Unix
        ns), in a few words; None while it is."""
        patience = PATIENCE * NANOSECONDS
        if now - (self.last_packet_at or opened_at) > GIVE_UP * NANOSECONDS:
            return f"silent for {GIVE_UP:g} s"
        if not self.reported and now - opened_at > patience:
            return f"no sender report in {PATIENCE:g} s, so that nothing has a date"
        if now - (self.dated_here_at or opened_at) > patience:
            return f"its times made no sense for {PATIENCE:g} s"
        if self.lacks_parameters and now - opened_at > patience:
            return f"no H.264 parameters in {PATIENCE:g} s, so that there are no pictures"
        return None

    @property
    def lacks_parameters(self) -> bool:
        """Whether nothing can be made of its packets before something else has come with them."""
        return False

    def totals(self) -> tuple[int, int]:
        """Packets (expected, lost) over all connections."""
        tally = self._sequencer.tally
        return self._past[0] + tally.expected, self._past[1] + tally.lost

    def set_offset(self, offset: ClockOffset) -> None:
        """Take a new measurement of the phone's clock."""
        self._offset = offset
        self._clock.set_offset(offset)

    def on_report(self, data: bytes) -> None:
        """An RTCP packet has arrived."""
        try:
            report = wire.parse_sender_report(data)
            if report is not None:
                self._believe(self._source.report(report, self._now()))
                self.garbage += report.source != (self._source.pinned or report.source)
        except wire.MalformedPacket:
            self.garbage += 1
        except Exception as error:
            self._fail(error)

    def on_packet(self, data: bytes) -> None:
        """An RTP packet has arrived."""
        try:
            self._receive(data)
        except wire.MalformedPacket:
            self.garbage += 1
        except Exception as error:
            self._fail(error)

    def on_stranger(self, data: bytes) -> None:
        """A datagram has arrived that is not the phone's."""
        self.garbage += 1

    def _receive(self, data: bytes) -> None:
        now = self._now()
        packet = wire.parse_rtp(data)
        if packet.payload_type != self._payload_type:
            self.garbage += 1
            return
        self._believe(self._source.packet(packet))
        if self._source.pinned not in (None, packet.source):
            self.garbage += 1
            return
        self.last_packet_at = self.heard_at = now
        if not self.reported or self._cut(packet):
            self._ignore(packet)
            return
        self._deliver(self._sequencer.push(packet, now))

    def _believe(self, heard: HeardReport | None) -> None:
        if heard is not None:
            self._clock.report(heard.report, heard.arrived_at)
            self.reported = True

    def tick(self, now: int) -> None:
        """Called often: packets that were waited for in vain are given up."""
        self._deliver(self._sequencer.expire(now))
        self._faults.look(now)

    def close(self) -> None:
        """Nothing comes any more: what was held back for the sake of order has its turn."""
        self.tick(self._now() + 2 * self.patience)

    def _deliver(self, arrivals: Iterable[Arrival]) -> None:
        for arrival in arrivals:
            try:
                self._take(arrival)
            except wire.MalformedPacket:
                self.garbage += 1
            except Exception as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Something that was not foreseen has happened: one line a second for each cause."""
        self.garbage += 1
        self._faults.add(f"{self.noun}: {reason(error)}", self._now())

    def _date(self, timestamp: int, arrived_at: int) -> int | None:
        moment = self._clock.date(timestamp, arrived_at)
        if moment is not None:
            self.dated_at = self.dated_here_at = arrived_at
        return moment

    def _cut(self, packet: wire.RtpPacket) -> bool:
        """Whether a packet belongs to something that began before the first sender report."""
        return False

    @abstractmethod
    def _ignore(self, packet: wire.RtpPacket) -> None:
        """A packet from before the first sender report."""

    @abstractmethod
    def _take(self, arrival: Arrival) -> None:
        """The next packet in order."""


@dataclass(slots=True)
class Watched:
    """A stream under supervision; `lane` is the mailbox's name for it, None for eye events."""

    stream: Stream
    lane: Lane | None
    session: Session | None = None
    said: str | None = None

    @property
    def is_needed(self) -> bool:
        """Whether there is no run without it."""
        return self.lane in ("frames", "gaze")
