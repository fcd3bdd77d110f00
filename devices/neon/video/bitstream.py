"""What H.264 itself says of a picture's size and of its place among the others (ITU-T H.264)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from devices.neon.wire import (
    INSTANT_REFRESH_SLICE,
    PICTURE_PARAMETERS,
    SEQUENCE_PARAMETERS,
    MalformedPacket,
)

_WITH_CHROMA = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
_SLICE_HEAD = 32
"""Bytes of a slice that surely hold the beginning of its header."""
MOST_PARAMETERS = 4096
"""Bytes of a parameter set; one with every field there is has half of that."""
MOST_SETS = 32
LEAST_SIDE, MOST_SIDE, MOST_PIXELS = 16, 4096, 2**23
"""Of a picture; Neon's has a fifth of that."""
_LONGEST_CODE = 32
"""Zeros before an Exp-Golomb number, at most (9.1)."""


@dataclass(frozen=True, slots=True)
class StreamParameters:
    """Of a sequence parameter set: the size in pixels, the range of the frame numbers, and whether
    the encoder itself may skip some."""

    width: int
    height: int
    frame_numbers: int
    gaps_allowed: bool


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """What a decoder has to know: SPS and PPS as NAL units, and what the newest SPS says."""

    units: tuple[bytes, ...]
    stream: StreamParameters

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the pictures."""
        return self.stream.width, self.stream.height


class _Bits:
    """Reads the bits of a NAL unit (7.3.1, 9.1)."""

    def __init__(self, unit: bytes) -> None:
        body = bytes(unit).replace(b"\x00\x00\x03", b"\x00\x00")
        self._bits = "".join(f"{byte:08b}" for byte in body)
        self._position = 0

    def read(self, count: int) -> int:
        text = self._bits[self._position : self._position + count]
        if len(text) < count:
            raise MalformedPacket("cut inside a header")
        self._position += count
        return int(text, 2) if count else 0

    def unsigned(self) -> int:
        """ue(v)."""
        one = self._bits.find("1", self._position, self._position + _LONGEST_CODE + 1)
        if one < 0:
            raise MalformedPacket("a number without end in a header")
        zeros = one - self._position
        self._position = one + 1
        return 2**zeros - 1 + self.read(zeros)

    def at_most(self, most: int) -> int:
        """ue(v) with the bound that the standard or common sense gives it."""
        value = self.unsigned()
        if value > most:
            raise MalformedPacket(f"{value} in a header, where at most {most} can be")
        return value


def parse_parameters(unit: bytes) -> StreamParameters:
    """Read a sequence parameter set (7.3.2.1.1).

    Raises MalformedPacket, also for what no eye tracker sends: separate colour planes, scaling
    matrices, pictures beyond MOST_SIDE or MOST_PIXELS.
    """
    if len(unit) > MOST_PARAMETERS:
        raise MalformedPacket(f"a parameter set of {len(unit)} bytes")
    bits = _Bits(unit[1:])
    profile = bits.read(8)
    bits.read(16)
    bits.at_most(31)
    chroma = _chroma(bits) if profile in _WITH_CHROMA else 1
    frame_numbers = 2 ** (bits.at_most(12) + 4)
    _skip_picture_order(bits)
    bits.at_most(16)
    gaps_allowed = bool(bits.read(1))
    width, height = _size(bits, chroma)
    return StreamParameters(width, height, frame_numbers, gaps_allowed)


def _chroma(bits: _Bits) -> int:
    chroma = bits.at_most(3)
    if chroma == 3 and bits.read(1):
        raise MalformedPacket("separate colour planes")
    bits.at_most(6)
    bits.at_most(6)
    if bits.read(2) & 1:
        raise MalformedPacket("scaling matrices")
    return chroma


def _skip_picture_order(bits: _Bits) -> None:
    order = bits.at_most(2)
    if order == 0:
        bits.at_most(12)
    elif order == 1:
        bits.read(1)
        for _ in range(2):
            bits.unsigned()
        for _ in range(bits.at_most(255)):
            bits.unsigned()


def _size(bits: _Bits, chroma: int) -> tuple[int, int]:
    """(width, height) without what is cropped."""
    columns, rows = (bits.at_most(MOST_SIDE // 16 - 1) + 1 for _ in range(2))
    frames_only = bits.read(1)
    bits.read(1 if frames_only else 2)
    cut = [bits.at_most(MOST_SIDE) for _ in range(4)] if bits.read(1) else [0] * 4
    step_x = 2 if chroma in (1, 2) else 1
    step_y = (2 if chroma == 1 else 1) * (2 - frames_only)
    width = columns * 16 - step_x * (cut[0] + cut[1])
    height = rows * 16 * (2 - frames_only) - step_y * (cut[2] + cut[3])
    if min(width, height) < LEAST_SIDE or height > MOST_SIDE or width * height > MOST_PIXELS:
        raise MalformedPacket(f"a picture of {width} x {height} pixels")
    return width, height


def parameter_sets(units: Iterable[bytes], before: ParameterSets | None = None) -> ParameterSets:
    """The sets in force once `units` have come after those of `before`; other units are left out.

    A set takes the place of the one of its kind and number. Raises MalformedPacket, also where
    there is no SPS at all.
    """
    in_force = {} if before is None else {_identity(unit): unit for unit in before.units}
    stream = None if before is None else before.stream
    for unit in map(bytes, units):
        kind = unit[0] & 0x1F
        if kind == SEQUENCE_PARAMETERS:
            stream = parse_parameters(unit)
        if kind in (SEQUENCE_PARAMETERS, PICTURE_PARAMETERS):
            in_force[_identity(unit)] = unit
    if stream is None or len(in_force) > MOST_SETS:
        raise MalformedPacket("no SPS" if stream is None else "too many parameter sets")
    return ParameterSets(tuple(in_force.values()), stream)


def _identity(unit: bytes) -> tuple[int, int]:
    """(kind, number) of a parameter set."""
    if len(unit) > MOST_PARAMETERS:
        raise MalformedPacket(f"a parameter set of {len(unit)} bytes")
    kind = unit[0] & 0x1F
    bits = _Bits(unit[1 if kind == PICTURE_PARAMETERS else 4 :][:_SLICE_HEAD])
    return kind, bits.at_most(255)


def starts_picture(unit: bytes) -> bool:
    """Whether a slice begins at the picture's first macroblock (`first_mb_in_slice` is 0)."""
    return len(unit) > 1 and bool(unit[1] & 0x80)


class Succession:
    """Follows the frame numbers: a picture that was never sent leaves no gap among the packets,
    but a hole in these (7.4.3), or a long time without any."""

    def __init__(self, parameters: StreamParameters, longest: int) -> None:
        """`longest`: RTP ticks from one picture to the next, at most."""
        self._parameters = parameters
        self._longest = longest
        self._number: int | None = None
        self._timestamp: int | None = None

    def follows(self, unit: bytes, timestamp: int) -> bool:
        """Whether the picture of this first slice comes right after the one before it; a key
        picture needs none before it."""
        key = unit[0] & 0x1F == INSTANT_REFRESH_SLICE
        number = 0 if key else self._frame_number(unit)
        whole = key or (self._in_time(timestamp) and self._is_next(number))
        if unit[0] & 0x60:
            self._number = number
        self._timestamp = timestamp
        return whole

    def _in_time(self, timestamp: int) -> bool:
        before = self._timestamp
        return before is not None and (timestamp - before) % 2**32 <= self._longest

    def _is_next(self, number: int) -> bool:
        if self._number is None:
            return False
        expected = (self._number + 1) % self._parameters.frame_numbers
        return number == expected or self._parameters.gaps_allowed

    def _frame_number(self, unit: bytes) -> int:
        bits = _Bits(unit[1:_SLICE_HEAD])
        for _ in range(3):
            bits.unsigned()
        return bits.read(self._parameters.frame_numbers.bit_length() - 1)
