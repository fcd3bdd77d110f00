"""H.264 from RTP payloads to whole pictures, and none that is not whole (RFC 6184)."""

from __future__ import annotations

from dataclasses import dataclass

from devices.neon import wire
from devices.neon.sequence import Arrival
from devices.neon.video.bitstream import (
    ParameterSets,
    Succession,
    parameter_sets,
    starts_picture,
)

_SLICES = (wire.SLICE, wire.INSTANT_REFRESH_SLICE)
_SETS = (wire.SEQUENCE_PARAMETERS, wire.PICTURE_PARAMETERS)
MOST_BYTES, MOST_UNITS = 2**21, 1000
"""Of a picture; a key frame of a real Neon has 155 KB."""
MOST_AHEAD = 2**16
"""Bytes of units that come ahead of their picture."""
LONGEST_INTERVAL = 0.3
"""Seconds from one picture to the next; after more, pictures may be missing."""


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """One picture as received. `data` has start codes; None where packets of it are missing.

    `gap`: something is missing in it or before it, so that what it refers to may be missing too.
    `arrived_at` is that of its last packet (Unix ns, host). `sets`: the parameter sets in force;
    None before the first, without which no picture can be decoded.
    """

    timestamp: int
    arrived_at: int
    key: bool
    gap: bool
    data: bytes | None
    sets: ParameterSets | None = None


class Assembler:
    """Collects the packets of a picture; hands it over with its last packet (the marker bit).

    `sets`: the parameter sets in force.
    """

    def __init__(self, sets: ParameterSets | None, rate: int) -> None:
        """`sets` None: they come before the key frames. `rate`: RTP ticks per second."""
        self._longest = round(LONGEST_INTERVAL * rate)
        self._adopt(sets)
        self._ahead = b""
        self._begin()
        self._gap = False

    def _adopt(self, sets: ParameterSets | None) -> None:
        self.sets = sets
        self._succession = None if sets is None else Succession(sets.stream, self._longest)

    def _begin(self) -> None:
        self._units: list[bytearray] = []
        self._timestamp: int | None = None
        self._broken = False
        self._fragment_open = False
        self._size = 0

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
        self._size += len(packet.payload)
        if self._size > MOST_BYTES or len(self._units) > MOST_UNITS:
            self._units.clear()
            self._broken, self._fragment_open = True, False
        else:
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
            self._take_aggregate(payload)
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

    def _take_aggregate(self, payload: bytes) -> None:
        start = 1
        while start < len(payload):
            begin = start + 2
            start = begin + int.from_bytes(payload[start:begin], "big")
            if len(payload) < start or start == begin or len(self._units) > MOST_UNITS:
                self._broken = True
                return
            self._units.append(bytearray(payload[begin:start]))

    def _finish(self, arrived_at: int) -> list[CodedPicture]:
        units, timestamp = self._units, self._timestamp
        broken = self._broken or self._fragment_open or not units
        slices = [unit for unit in units if unit[0] & 0x1F in _SLICES]
        self._begin()
        key = bool(slices) and slices[0][0] & 0x1F == wire.INSTANT_REFRESH_SLICE
        broken = broken or not self._take_sets(units, key or not slices)
        if not slices and not broken:
            # Parameter sets of their own belong to the picture that follows.
            self._ahead += _stream(units)
            if len(self._ahead) > MOST_AHEAD:
                self._ahead, self._gap = b"", True
            return []
        broken = broken or not starts_picture(slices[0]) or not self._follows(slices[0], timestamp)
        data = None if broken else self._ahead + _stream(units)
        picture = CodedPicture(timestamp, arrived_at, key, self._gap or broken, data, self.sets)
        self._ahead, self._gap = b"", False
        return [picture]

    def _take_sets(self, units: list[bytearray], may_change: bool) -> bool:
        """Note parameter sets that come with the pictures; False where they make no sense, or
        change (`may_change`: they may) in the middle of what refers to the ones before."""
        sent = [unit for unit in units if unit[0] & 0x1F in _SETS]
        if not sent:
            return True
        try:
            sets = parameter_sets(sent, self.sets)
        except wire.MalformedPacket:
            return False
        if sets == self.sets:
            return True
        if may_change:
            self._adopt(sets)
        return may_change

    def _follows(self, unit: bytearray, timestamp: int) -> bool:
        """Note a hole in the succession of pictures; False where the header makes no sense."""
        if self._succession is None:
            return True
        try:
            self._gap |= not self._succession.follows(unit, timestamp)
        except wire.MalformedPacket:
            return False
        return True


def _stream(units: list[bytearray]) -> bytes:
    return b"".join(wire.START_CODE + unit for unit in units)
