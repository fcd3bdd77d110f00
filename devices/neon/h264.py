"""H.264 from RTP payloads to whole pictures, and none that is not whole (RFC 6184)."""

from __future__ import annotations

from dataclasses import dataclass

from devices.neon import wire
from devices.neon.sequence import Arrival

_SLICES = (wire.SLICE, wire.INSTANT_REFRESH_SLICE)


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """One picture as received. `data` has start codes; None where packets of it are missing.

    `gap`: packets are missing in it or before it, so that what it refers to may be missing too.
    `arrived_at` is that of its last packet (Unix ns, host).
    """

    timestamp: int
    arrived_at: int
    key: bool
    gap: bool
    data: bytes | None


class Assembler:
    """Collects the packets of a picture; hands it over with its last packet (the marker bit)."""

    def __init__(self) -> None:
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
        broken = broken or not _starts_picture(slices[0])
        key = bool(slices) and slices[0][0] & 0x1F == wire.INSTANT_REFRESH_SLICE
        data = None if broken else self._parameters + _stream(units)
        picture = CodedPicture(timestamp, arrived_at, key, self._gap or broken, data)
        self._parameters, self._gap = b"", False
        return [picture]


def _stream(units: list[bytearray]) -> bytes:
    return b"".join(wire.START_CODE + unit for unit in units)


def _starts_picture(unit: bytearray) -> bool:
    """Whether a slice begins at the picture's first macroblock (`first_mb_in_slice` is 0)."""
    return len(unit) > 1 and bool(unit[1] & 0x80)


class _Bits:
    """Reads the bits of a NAL unit (ITU-T H.264, 7.2 and 9.1)."""

    def __init__(self, unit: bytes) -> None:
        body = unit.replace(b"\x00\x00\x03", b"\x00\x00")
        self._bits = "".join(f"{byte:08b}" for byte in body)
        self._position = 0

    def read(self, count: int) -> int:
        text = self._bits[self._position : self._position + count]
        if len(text) < count:
            raise wire.MalformedPacket("cut inside a parameter set")
        self._position += count
        return int(text, 2) if count else 0

    def unsigned(self) -> int:
        """ue(v)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return 2**zeros - 1 + self.read(zeros)


_WITH_CHROMA = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)


def picture_size(parameters: bytes) -> tuple[int, int]:
    """(width, height) by a sequence parameter set (ITU-T H.264, 7.3.2.1.1).

    Raises MalformedPacket, also for scaling matrices, which no eye tracker sends.
    """
    bits = _Bits(parameters[1:])
    profile = bits.read(8)
    bits.read(16)
    bits.unsigned()
    chroma = 1
    if profile in _WITH_CHROMA:
        chroma = bits.unsigned()
        bits.unsigned()
        bits.unsigned()
        if bits.read(2) & 1:
            raise wire.MalformedPacket("scaling matrices in the parameter set")
    bits.unsigned()
    order = bits.unsigned()
    if order == 0:
        bits.unsigned()
    elif order == 1:
        bits.read(1)
        for _ in range(2):
            bits.unsigned()
        for _ in range(bits.unsigned()):
            bits.unsigned()
    bits.unsigned()
    bits.read(1)
    columns, rows = bits.unsigned() + 1, bits.unsigned() + 1
    frames_only = bits.read(1)
    bits.read(1 if frames_only else 2)
    left, right, top, bottom = (bits.unsigned() for _ in range(4)) if bits.read(1) else (0,) * 4
    step_x = 2 if chroma in (1, 2) else 1
    step_y = (2 if chroma == 1 else 1) * (2 - frames_only)
    width = columns * 16 - step_x * (left + right)
    return width, rows * 16 * (2 - frames_only) - step_y * (top + bottom)
