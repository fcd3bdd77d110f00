"""The phone's three streams: from packets to dated samples, for as long as one connection lasts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from devices.clock import NANOSECONDS, Clock
from devices.mailbox import Mailbox
from devices.neon import wire
from devices.neon.decoding import UNDATED, VideoThread
from devices.neon.h264 import Assembler
from devices.neon.sequence import Arrival, Sequencer
from devices.neon.session import Description, stream_parameters
from devices.neon.timing import LONGEST_EVENT, ClockOffset, EventClock, StreamClock
from devices.neon.undistortion import Lens
from devices.samples import Blink, Fixation, GazeSample

_MILLISECOND = NANOSECONDS // 1000
VIDEO_PATIENCE = 50 * _MILLISECOND
GAZE_PATIENCE = 10 * _MILLISECOND
HELD_VIDEO, HELD_GAZE = 200, 20
WORN_CHANGE = 20
"""Gaze samples in a row that make a change of the worn state."""
BEFORE_REPORT = "before the first sender report"
UNKNOWN_SIZE = "unknown gaze size"


class Stream(ABC):
    """One of the phone's streams. Its methods run in the device's event loop.

    Unix ns of the host, None before the first time: `last_packet_at` is when this connection last
    received something of its own, `heard_at` when any did, `dated_at` when any had a date for it.
    """

    camera: str
    noun: str
    patience: int
    held: int

    def __init__(self, mailbox: Mailbox, clock: Clock, ask_for_echo: Callable[[], None]) -> None:
        self._mailbox = mailbox
        self._now = clock.now
        self._ask_for_echo = ask_for_echo
        self._offset: ClockOffset | None = None
        self.garbage = 0
        self.last_packet_at: int | None = None
        self.heard_at: int | None = None
        self.dated_at: int | None = None
        self.reported = False
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
        self.last_packet_at = None
        self.reported = False

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
        except wire.MalformedPacket:
            self.garbage += 1
            return
        if report is not None:
            self._clock.report(report, self._now())
            self.reported = True

    def on_packet(self, data: bytes) -> None:
        """An RTP packet has arrived."""
        now = self._now()
        try:
            packet = wire.parse_rtp(data)
        except wire.MalformedPacket:
            self.garbage += 1
            return
        source = self._clock.source
        if packet.payload_type != self._payload_type or source not in (None, packet.source):
            self.garbage += 1
            return
        self.last_packet_at = self.heard_at = now
        if source is None or self._cut(packet):
            self._ignore(packet)
            return
        for arrival in self._sequencer.push(packet, now):
            self._take(arrival)

    def tick(self, now: int) -> None:
        """Called often: packets that were waited for in vain are given up."""
        for arrival in self._sequencer.expire(now):
            self._take(arrival)

    def _date(self, timestamp: int, arrived_at: int) -> int | None:
        moment = self._clock.date(timestamp, arrived_at)
        if moment is not None:
            self.dated_at = arrived_at
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


class WorldStream(Stream):
    """The scene camera. `frame_size` is (width, height) of the present connection."""

    camera, noun = "world", "scene camera"
    patience, held = VIDEO_PATIENCE, HELD_VIDEO

    def __init__(
        self,
        mailbox: Mailbox,
        clock: Clock,
        ask_for_echo: Callable[[], None],
        video: VideoThread,
    ) -> None:
        self._video = video
        self.frame_size = (0, 0)
        self._ignored: wire.RtpPacket | None = None
        super().__init__(mailbox, clock, ask_for_echo)

    def begin(self, description: Description) -> None:
        super().begin(description)
        self._ignored = None
        if description.parameters:
            parameters = stream_parameters(description)
            self.frame_size = parameters.width, parameters.height
            self._assembler = Assembler(parameters, description.rate)
            self._video.begin_stream(description.parameters)

    def _cut(self, packet: wire.RtpPacket) -> bool:
        ignored = self._ignored
        return ignored is not None and not ignored.marker and packet.timestamp == ignored.timestamp

    def _ignore(self, packet: wire.RtpPacket) -> None:
        self._ignored = packet
        if packet.marker:
            self._mailbox.receive("frames")
            self._mailbox.drop("frames", BEFORE_REPORT)

    def _take(self, arrival: Arrival) -> None:
        for picture in self._assembler.push(arrival):
            self._video.take(picture, self._date(picture.timestamp, picture.arrived_at))


class GazeStream(Stream):
    """Gaze. `recent` holds (capture time, x, y) of the last second, in fractions of the frame."""

    camera, noun = "gaze", "gaze"
    patience, held = GAZE_PATIENCE, HELD_GAZE

    def __init__(
        self,
        mailbox: Mailbox,
        clock: Clock,
        ask_for_echo: Callable[[], None],
        world: WorldStream,
        lens: Lens | None,
    ) -> None:
        """`lens`: undistort gaze points; None: leave them as they are."""
        self._world = world
        self._lens = lens
        self.worn = True
        self._disagreeing = 0
        self._unknown_said = False
        self.recent: deque[tuple[int, float, float]] = deque(maxlen=200)
        super().__init__(mailbox, clock, ask_for_echo)

    def _ignore(self, packet: wire.RtpPacket) -> None:
        self._mailbox.receive("gaze")
        self._mailbox.drop("gaze", BEFORE_REPORT)

    def _take(self, arrival: Arrival) -> None:
        self._mailbox.receive("gaze")
        captured_at = self._date(arrival.packet.timestamp, arrival.arrived_at)
        try:
            gaze = wire.parse_gaze(arrival.packet.payload)
        except wire.MalformedPacket as error:
            self._mailbox.drop("gaze", UNKNOWN_SIZE, captured_at)
            self._say_once(f"{error}: this version of the Companion app is not known, gaze is lost")
            return
        if captured_at is None:
            self._mailbox.drop("gaze", UNDATED)
            return
        x, y = self.position(gaze.x, gaze.y)
        self._follow_worn(gaze.worn)
        if gaze.worn:
            self.recent.append((captured_at, x, y))
        self._mailbox.hand_in(GazeSample(captured_at, arrival.arrived_at, x, y, gaze.worn))

    def position(self, x: float, y: float) -> tuple[float, float]:
        """Scene pixels as fractions of the frame, undistorted if that was asked for."""
        if self._lens is not None:
            x, y = self._lens.undistorted(x, y)
        width, height = self._world.frame_size
        return x / width, y / height

    def _follow_worn(self, worn: bool) -> None:
        self._disagreeing = 0 if worn == self.worn else self._disagreeing + 1
        if self._disagreeing == WORN_CHANGE:
            self.worn, self._disagreeing = worn, 0
            self._mailbox.note("the glasses were put on" if worn else "the glasses were taken off")

    def _say_once(self, line: str) -> None:
        if not self._unknown_said:
            self._unknown_said = True
            self._mailbox.note(line)


class EventStream(Stream):
    """Fixations and blinks that the phone itself detects, each known when what it says has been."""

    camera, noun = "eye_events", "eye events"
    patience, held = GAZE_PATIENCE, HELD_GAZE

    def __init__(
        self,
        mailbox: Mailbox,
        clock: Clock,
        ask_for_echo: Callable[[], None],
        gaze: GazeStream,
    ) -> None:
        self._gaze = gaze
        super().__init__(mailbox, clock, ask_for_echo)

    def begin(self, description: Description) -> None:
        super().begin(description)
        self._stamps = EventClock()

    def _ignore(self, packet: wire.RtpPacket) -> None:
        """Events are few, and no count says how many there were."""

    def _take(self, arrival: Arrival) -> None:
        packet, arrived_at = arrival.packet, arrival.arrived_at
        captured_at = self._date(packet.timestamp, arrived_at)
        if captured_at is None or self._offset is None or len(packet.payload) < 4:
            return
        kind = wire.EVENT_TYPE.unpack_from(packet.payload)[0]
        size = len(packet.payload)
        if kind == wire.FIXATION and size == wire.MOVEMENT.size:
            self._fixation(packet.payload, captured_at, arrived_at)
        elif kind == wire.FIXATION_ONSET and size == wire.ONSET.size:
            self._onset(packet.payload, captured_at, arrived_at)
        elif kind == wire.BLINK and size == wire.SPAN.size:
            self._blink(packet.payload, captured_at, arrived_at)

    def _blink(self, payload: bytes, captured_at: int, arrived_at: int) -> None:
        _, started, ended = wire.SPAN.unpack(payload)
        if 0 <= ended - started <= LONGEST_EVENT:
            added = self._stamps.added(self._offset, captured_at, started, ended)
            begin, end = started + added, ended + added
            self._mailbox.hand_in(Blink(max(captured_at, end), arrived_at, begin, end))

    def _fixation(self, payload: bytes, captured_at: int, arrived_at: int) -> None:
        _, started, ended, *values = wire.MOVEMENT.unpack(payload)
        if 0 <= ended - started <= LONGEST_EVENT:
            x, y = self._gaze.position(values[4], values[5])
            added = self._stamps.added(self._offset, captured_at, ended)
            known, begin, end = max(captured_at, ended + added), started + added, ended + added
            self._mailbox.hand_in(Fixation(known, arrived_at, x, y, begin, end, "device"))

    def _onset(self, payload: bytes, captured_at: int, arrived_at: int) -> None:
        """The phone does not say where a fixation begins: at the mean of its gaze so far."""
        stamp = wire.ONSET.unpack(payload)[1]
        started = stamp + self._stamps.added(self._offset, captured_at, stamp)
        points = [(x, y) for moment, x, y in self._gaze.recent if moment >= started]
        if not points:
            points = [(x, y) for _, x, y in list(self._gaze.recent)[-1:]]
        if points:
            x = sum(point[0] for point in points) / len(points)
            y = sum(point[1] for point in points) / len(points)
            known = max(captured_at, started)
            self._mailbox.hand_in(Fixation(known, arrived_at, x, y, started, None, "device"))
