"""AAC from RTP payloads to access units, every length distrusted (RFC 3640)."""

from __future__ import annotations

from dataclasses import dataclass

from devices.bounds import LEAST_SOUND_RATE, MOST_SOUND_RATE
from devices.neon.wire import MalformedPacket

ENCODING = "MPEG4-GENERIC"
MOST_CONFIG = 64
"""Bytes of an AudioSpecificConfig; AAC-LC's has two."""
MOST_UNITS, MOST_UNIT = 32, 8191
"""Access units in a packet, and bytes in one: 13 bits tell its size."""
UNIT_SAMPLES = 1024
"""Samples per channel that an access unit decodes to."""
_SIZE_BITS, _INDEX_BITS = 13, 3
_HEADER_BITS = _SIZE_BITS + _INDEX_BITS
LAYOUT = {"sizelength": _SIZE_BITS, "indexlength": _INDEX_BITS, "indexdeltalength": _INDEX_BITS}
"""Of high bit-rate AAC, the only one that phones send."""


class MalformedSound(ValueError):
    """A description of sound that can't be played. The message says why in a few words."""


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """How a stream of sound is to be decoded: `rate` in Hz, `config` the AudioSpecificConfig."""

    rate: int
    config: bytes


def parse_format(encoding: str, options: str, rate: int) -> SoundFormat:
    """Read what a description says of its sound. Raises MalformedSound.

    `encoding`: that of its rtpmap; `options`: NAME=VALUE;... of its fmtp; `rate`: ticks per second.
    """
    if encoding.strip().upper() != ENCODING:
        raise MalformedSound(f"its sound is no AAC ({encoding.strip()[:20] or 'unnamed'})")
    if not LEAST_SOUND_RATE <= rate <= MOST_SOUND_RATE:
        raise MalformedSound(f"its sound has {rate} samples per second")
    pairs = (option.partition("=")[::2] for option in options.split(";"))
    fields = {name.strip().lower(): value.strip() for name, value in pairs}
    for name, bits in LAYOUT.items():
        if fields.get(name, str(bits)) != str(bits):
            raise MalformedSound(f"its sound has another {name} than {bits}")
    try:
        config = bytes.fromhex(fields.get("config", ""))
    except ValueError:
        raise MalformedSound("the configuration of its sound is no hexadecimal number") from None
    if not 2 <= len(config) <= MOST_CONFIG:
        raise MalformedSound("the configuration of its sound is missing or too long")
    return SoundFormat(rate, config)


def split_units(payload: bytes) -> list[bytes]:
    """The access units of a packet, in order. Raises MalformedPacket.

    What does not add up to the last byte is refused as a whole: units whose lengths lie would put
    sound where it does not belong. So are interleaved units, and fragments of one.
    """
    if len(payload) < 2:
        raise MalformedPacket("shorter than the length of its unit headers")
    bits = int.from_bytes(payload[:2], "big")
    count, rest = divmod(bits, _HEADER_BITS)
    if rest or not 0 < count <= MOST_UNITS:
        raise MalformedPacket(f"unit headers of {bits} bits")
    start = 2 + bits // 8
    if len(payload) < start:
        raise MalformedPacket("cut inside its unit headers")
    units = []
    for number in range(count):
        header = int.from_bytes(payload[2 + 2 * number : 4 + 2 * number], "big")
        size, index = header >> _INDEX_BITS, header & (1 << _INDEX_BITS) - 1
        if index or not size or start + size > len(payload):
            raise MalformedPacket("a unit header that lies")
        units.append(payload[start : start + size])
        start += size
    if start != len(payload):
        raise MalformedPacket("bytes that no unit header tells of")
    return units


def pack_units(units: list[bytes]) -> bytes:
    """The payload of a packet with these access units. Raises ValueError for one too long."""
    if any(not 0 < len(unit) <= MOST_UNIT for unit in units):
        raise ValueError(f"an access unit of more than {MOST_UNIT} bytes, or of none")
    headers = b"".join((len(unit) << _INDEX_BITS).to_bytes(2, "big") for unit in units)
    return (_HEADER_BITS * len(units)).to_bytes(2, "big") + headers + b"".join(units)
