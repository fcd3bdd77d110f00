"""What Neon and Invisible put on the wire: RTP, RTCP and the payloads, for both ends.

Sources: RFC 3550 (RTP), RFC 6184 (H.264 over RTP), pupil-labs-realtime-api 1.9 (payloads). All
numbers are big-endian.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from devices.clock import NANOSECONDS

HTTP_PORT = 8080
MEDIA_CLOCK = 90_000
"""Ticks per second of the RTP timestamps, unless a session's description says otherwise."""
VIDEO_PAYLOAD = 96
SOUND_PAYLOAD = 97
GAZE_PAYLOAD = 99
EVENTS_PAYLOAD = 101
NEON_HARDWARE = "2"
INVISIBLE_HARDWARE = "1"

WORN = 255
"""The worn byte of a gaze payload while the glasses are on."""
GAZE_SIZES = (9, 17, 25, 65, 89, 105)
"""Bytes of the known gaze payloads. All begin with x, y (scene pixels) and the worn byte; in the
one of 17 bytes that is the left eye, and the right eye follows."""
TWO_EYES_SIZE = 17

SACCADE, FIXATION, SACCADE_ONSET, FIXATION_ONSET, BLINK, KEEP_ALIVE = range(6)
MOVEMENT = struct.Struct("!iqq10f")
"""Saccade or fixation: type, start and end (ns), start, end and mean gaze (px), amplitude (px,
degrees), mean and greatest velocity (px/s)."""
ONSET = struct.Struct("!iq")
SPAN = struct.Struct("!iqq")
EVENT_TYPE = struct.Struct("!i")
_EVENT_LAYOUTS = {
    SACCADE: MOVEMENT,
    FIXATION: MOVEMENT,
    SACCADE_ONSET: ONSET,
    FIXATION_ONSET: ONSET,
    BLINK: SPAN,
    KEEP_ALIVE: EVENT_TYPE,
}
FARTHEST = 100_000.0
"""Scene pixels from the origin beyond which a number is no position: tens of frame widths."""
LATEST = 2**62
"""Unix ns beyond which a number is no time (the year 2116)."""

SLICE, INSTANT_REFRESH_SLICE, SEQUENCE_PARAMETERS, PICTURE_PARAMETERS = 1, 5, 7, 8
AGGREGATE, FRAGMENT = 24, 28
START_CODE = b"\x00\x00\x00\x01"

_GAZE = struct.Struct("!ffB")
_GAZE_TWO_EYES = struct.Struct("!ffBff")
_RTP = struct.Struct("!BBHII")
_SENDER_REPORT = struct.Struct("!BBHIIIIII")
_SENDER_REPORT_TYPE = 200
_NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""


class MalformedPacket(ValueError):
    """Bytes that are not what they should be. The message names the cause in a few words."""


class UnknownSize(MalformedPacket):
    """A payload of a size that no known version sends."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP packet; `timestamp` counts the media clock, modulo 2**32."""

    payload_type: int
    sequence: int
    timestamp: int
    source: int
    marker: bool
    payload: bytes

    def packed(self) -> bytes:
        """The packet as bytes, without padding or extension."""
        second = self.payload_type | (0x80 if self.marker else 0)
        header = _RTP.pack(0x80, second, self.sequence, self.timestamp, self.source)
        return header + self.payload


@dataclass(frozen=True, slots=True)
class SenderReport:
    """RTCP's statement that the media clock showed `timestamp` at `moment` (Unix ns, phone)."""

    source: int
    moment: int
    timestamp: int
    packets: int = 0
    octets: int = 0

    def packed(self) -> bytes:
        """The report as one RTCP packet without report blocks."""
        seconds, rest = divmod(self.moment, NANOSECONDS)
        fraction = (rest << 32) // NANOSECONDS
        return _SENDER_REPORT.pack(
            0x80, _SENDER_REPORT_TYPE, 6, self.source, (seconds + _NTP_EPOCH) % 2**32,
            fraction, self.timestamp, self.packets % 2**32, self.octets % 2**32,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class GazePayload:
    """Gaze in scene pixels, origin at the top left, and whether the glasses are worn."""

    x: float
    y: float
    worn: bool


@dataclass(frozen=True, slots=True)
class EventPayload:
    """An eye event of type `kind`. Times in Unix ns of the phone, `centre` the mean gaze in scene
    pixels; None where events of its type have none."""

    kind: int
    started: int | None = None
    ended: int | None = None
    centre: tuple[float, float] | None = None


def parse_rtp(data: bytes) -> RtpPacket:
    """Read one RTP packet. Raises MalformedPacket."""
    if len(data) < _RTP.size:
        raise MalformedPacket("shorter than an RTP header")
    first, second, sequence, timestamp, source = _RTP.unpack_from(data)
    if first >> 6 != 2:
        raise MalformedPacket("not RTP version 2")
    start = _RTP.size + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < start + 4:
            raise MalformedPacket("cut inside its header extension")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = len(data) - (data[-1] if first & 0x20 else 0)
    if end <= start:
        raise MalformedPacket("no payload")
    return RtpPacket(
        second & 0x7F, sequence, timestamp, source, bool(second & 0x80), bytes(data[start:end])
    )


def parse_sender_report(data: bytes) -> SenderReport | None:
    """The sender report of an RTCP compound, None where it has none. Raises MalformedPacket."""
    start = 0
    while start < len(data):
        if len(data) < start + 4 or data[start] >> 6 != 2:
            raise MalformedPacket("not RTCP version 2")
        end = start + 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
        if len(data) < end:
            raise MalformedPacket("cut inside an RTCP packet")
        if data[start + 1] == _SENDER_REPORT_TYPE:
            return _sender_report(data[start:end])
        start = end
    return None


def _sender_report(data: bytes) -> SenderReport:
    if len(data) < _SENDER_REPORT.size:
        raise MalformedPacket("cut inside a sender report")
    fields = _SENDER_REPORT.unpack_from(data)
    source, seconds, fraction, timestamp, packets, octets = fields[3:]
    moment = (seconds - _NTP_EPOCH) * NANOSECONDS + ((fraction * NANOSECONDS + 2**31) >> 32)
    if moment <= 0:
        raise MalformedPacket("a time before 1970")
    return SenderReport(source, moment, timestamp, packets, octets)


def parse_gaze(payload: bytes) -> GazePayload:
    """Read a gaze payload of any known size. Raises MalformedPacket, UnknownSize for another."""
    if len(payload) not in GAZE_SIZES:
        raise UnknownSize(f"gaze payload of an unknown size ({len(payload)} bytes)")
    x, y, worn = _GAZE.unpack_from(payload)
    if len(payload) == TWO_EYES_SIZE:
        *_, right_x, right_y = _GAZE_TWO_EYES.unpack(payload)
        x, y = (x + right_x) / 2, (y + right_y) / 2
    _check_position(x, y)
    return GazePayload(x, y, worn == WORN)


def parse_event(payload: bytes) -> EventPayload:
    """Read an eye event of any known type. Raises MalformedPacket."""
    if len(payload) < EVENT_TYPE.size:
        raise MalformedPacket("shorter than an eye event's type")
    (kind,) = EVENT_TYPE.unpack_from(payload)
    layout = _EVENT_LAYOUTS.get(kind)
    if layout is None or len(payload) != layout.size:
        raise MalformedPacket(f"an eye event of type {kind} with {len(payload)} bytes")
    times = layout.unpack(payload)[1:3]
    if not all(0 < moment < LATEST for moment in times) or list(times) != sorted(times):
        raise MalformedPacket("an eye event at no valid time")
    if layout is not MOVEMENT:
        return EventPayload(kind, *times)
    values = layout.unpack(payload)[3:]
    for x, y in zip(values[0:6:2], values[1:6:2], strict=True):
        _check_position(x, y)
    return EventPayload(kind, *times, centre=values[4:6])


def _check_position(x: float, y: float) -> None:
    """Raises MalformedPacket, also for what is not finite."""
    if not (math.fabs(x) <= FARTHEST and math.fabs(y) <= FARTHEST):
        raise MalformedPacket("not a valid position")


def pack_gaze(x: float, y: float, worn: bool, size: int, eyes: tuple[float, ...] = ()) -> bytes:
    """A gaze payload of `size` bytes; `eyes` are the float32 that follow, zeros where missing.

    In the payloads that carry one point per eye, both eyes see the point itself.
    """
    points = {17: (x, y), 25: (x, y, x, y)}.get(size)
    count = (size - _GAZE.size) // 4
    tail = points if points is not None else (eyes + (0.0,) * count)[:count]
    return _GAZE.pack(x, y, WORN if worn else 0) + struct.pack(f"!{count}f", *tail)
