"""H.264 from RTP payloads to whole pictures, and none that is not whole (RFC 6184)."""

from __future__ import annotations

from dataclasses import dataclass

from devices.neon import wire
from devices.neon.bitstream import StreamParameters, Succession, starts_picture
from devices.neon.sequence import Arrival

_SLICES = (wire.SLICE, wire.INSTANT_REFRESH_SLICE)
LONGEST_INTERVAL = 0.3
"""Seconds from one picture to the next; after more, pictures may be missing."""


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """One picture as received. `data` has start codes; None where packets of it are missing.

    `gap`: something is missing in it or before it, so that what it refers to may be missing too.
    `arrived_at` is that of its last packet (Unix ns, host).
    """

    timestamp: int
    arrived_at: int
    key: bool
    gap: bool
    data: bytes | None


class Assembler:
    """Collects the packets of a picture; hands it over with its last packet (the marker bit)."""

    def __init__(self, parameters: StreamParameters, rate: int) -> None:
        """`rate`: RTP ticks per second."""
        self._succession = Succession(parameters, round(LONGEST_INTERVAL * rate))
        self._parameters = b""
        self._begin()
        self._gap = False

    def _begin(self) -> None:
        self._units: list[bytearray] = []
        self._timestamp: int | None = None
        self._broken = False
        self._fragment_open = False

    def push(self, arrival: Arrival) -> list[CodedPicture]:
        """Take the next packet in order; returns the pictures that it completes or gives up."""
        packet = arrival.packet
        finished = []
        if self._timestamp is not None and packet.timestamp != self._timestamp:
            # The marker bit of the picture before is missing.
            self._broken = True
            finished += self._finish(arrival.arrived_at)
        if arrival.gap:
            self._gap = True
            self._broken = self._timestamp is not None
        self._timestamp = packet.timestamp
        self._take(packet.payload)
        if packet.marker:
            finished += self._finish(arrival.arrived_at)
        return finished

    def _take(self, payload: bytes) -> None:
        kind = payload[0] & 0x1F
        if payload[0] & 0x80:
            self._broken = True
        elif kind == wire.FRAGMENT:
            self._take_fragment(payload)
        elif kind == wire.AGGREGATE:
            self._take_aggregate(payload[1:])
        elif self._fragment_open or not 0 < kind < wire.AGGREGATE:
            self._broken = True
        else:
            self._units.append(bytearray(payload))

    def _take_fragment(self, payload: bytes) -> None:
        if len(payload) < 3:
            self._broken = True
            return
        starts, ends = payload[1] & 0x80, payload[1] & 0x40
        if bool(starts) == self._fragment_open:
            self._broken = True
            return
        if starts:
            self._units.append(bytearray((payload[0] & 0xE0 | payload[1] & 0x1F,)))
        self._units[-1] += payload[2:]
        self._fragment_open = not ends

    def _take_aggregate(self, rest: bytes) -> None:
        while rest:
            end = 2 + int.from_bytes(rest[:2], "big")
            if len(rest) < end or end == 2:
                self._broken = True
                return
            self._units.append(bytearray(rest[2:end]))
            rest = rest[end:]

    def _finish(self, arrived_at: int) -> list[CodedPicture]:
        units, timestamp = self._units, self._timestamp
        broken = self._broken or self._fragment_open or not units
        slices = [unit for unit in units if unit[0] & 0x1F in _SLICES]
        self._begin()
        if not slices and not broken:
            # Parameter sets of their own belong to the picture that follows.
            self._parameters += _stream(units)
            return []
        broken = broken or not starts_picture(slices[0]) or not self._follows(slices[0], timestamp)
        key = bool(slices) and slices[0][0] & 0x1F == wire.INSTANT_REFRESH_SLICE
        data = None if broken else self._parameters + _stream(units)
        picture = CodedPicture(timestamp, arrived_at, key, self._gap or broken, data)
        self._parameters, self._gap = b"", False
        return [picture]

    def _follows(self, unit: bytearray, timestamp: int) -> bool:
        """Note a hole in the succession of pictures; False where the header makes no sense."""
        try:
            self._gap |= not self._succession.follows(unit, timestamp)
        except wire.MalformedPacket:
            return False
        return True


def _stream(units: list[bytearray]) -> bytes:
    return b"".join(wire.START_CODE + unit for unit in units)
