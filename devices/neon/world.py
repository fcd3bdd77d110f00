"""The scene camera's stream: from packets to dated pictures, and how large they are when."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from devices.clock import NANOSECONDS, Clock
from devices.mailbox import Mailbox
from devices.neon import wire
from devices.neon.rtsp.description import Description
from devices.neon.sequence import Arrival
from devices.neon.stream import BEFORE_REPORT, Stream
from devices.neon.video.bitstream import ParameterSets, parameter_sets
from devices.neon.video.decoding import VideoThread
from devices.neon.video.h264 import Assembler

VIDEO_PATIENCE = NANOSECONDS // 20
HELD_VIDEO = 200
MOST_SIZES = 16


class WorldStream(Stream):
    """The scene camera. Its parameter sets come with its description or before its key frames.

    `is_resizing`: a picture that may have another size is on its way; until it is here, what is
    captured can't be placed. `on_sized` is called when more is known of sizes than before.
    """

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
        self._sizes: deque[tuple[int, tuple[int, int]]] = deque(maxlen=MOST_SIZES)
        self._ignored: wire.RtpPacket | None = None
        self._sets: ParameterSets | None = None
        self.is_resizing = False
        self.on_sized: Callable[[], None] = lambda: None
        super().__init__(mailbox, clock, ask_for_echo)

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) of the newest pictures; None before the first parameter set."""
        return self._sizes[-1][1] if self._sizes else None

    @property
    def lacks_parameters(self) -> bool:
        return self._sets is None

    def size_at(self, moment: int) -> tuple[int, int] | None:
        """(width, height) of what was captured at a moment (Unix ns); None while not known."""
        for since, size in reversed(self._sizes):
            if moment >= since:
                return size
        return self._sizes[0][1] if self._sizes else None

    def begin(self, description: Description) -> None:
        super().begin(description)
        self._ignored = None
        self.is_resizing = False
        sets = parameter_sets(description.parameters) if description.parameters else None
        self._assembler = Assembler(sets, description.rate)
        self._video.begin_stream()
        self._adopt(sets, self._now())

    def _adopt(self, sets: ParameterSets | None, since: int) -> None:
        """Parameter sets are in force for what was captured since then (Unix ns)."""
        self._sets = sets
        if sets is not None and sets.size != self.size:
            self._sizes.append((since, sets.size))
            self.on_sized()

    def _cut(self, packet: wire.RtpPacket) -> bool:
        ignored = self._ignored
        return ignored is not None and not ignored.marker and packet.timestamp == ignored.timestamp

    def _ignore(self, packet: wire.RtpPacket) -> None:
        self._ignored = packet
        if packet.marker:
            self._mailbox.receive("frames")
            self._mailbox.drop("frames", BEFORE_REPORT)

    def _take(self, arrival: Arrival) -> None:
        self.is_resizing = self.is_resizing or self._announces(arrival.packet.payload)
        pictures = self._assembler.push(arrival)
        if self._assembler.sets != self._sets:
            first = next((p for p in pictures if p.sets == self._assembler.sets), arrival.packet)
            moment = self._date(first.timestamp, arrival.arrived_at)
            self._adopt(self._assembler.sets, arrival.arrived_at if moment is None else moment)
        if pictures and self.is_resizing:
            self.is_resizing = False
            self.on_sized()
        for picture in pictures:
            self._video.take(picture, self._date(picture.timestamp, picture.arrived_at))

    def _announces(self, payload: bytes) -> bool:
        """Whether a packet begins with a sequence parameter set that is not in force."""
        unit = payload[3:] if payload[0] & 0x1F == wire.AGGREGATE else payload
        if not unit or unit[0] & 0x1F != wire.SEQUENCE_PARAMETERS:
            return False
        known = () if self._sets is None else self._sets.units
        return not any(unit.startswith(each) for each in known)
