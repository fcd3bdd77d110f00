"""A stream's description (SDP, RFC 4566 and 6184): what of it concerns us, bounded."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from devices.neon import wire
from devices.neon.sound.units import MalformedSound, SoundFormat, parse_format
from devices.neon.video.bitstream import MOST_PARAMETERS, StreamParameters, parse_parameters

LEAST_RATE, MOST_RATE = 1_000, 10_000_000
"""RTP ticks per second; video has 90,000."""
MOST_SETS = 32
MOST_LINE = 2**16
_MAPPING = re.compile(r"([0-9]{1,3}) +[^/ ]{1,100}/([0-9]{1,9})(?:/[0-9]{1,3})?")
_SETS = "sprop-parameter-sets"


Medium = Literal["video", "audio"]


class MalformedDescription(ValueError):
    """A description that no stream can have. The message says why in a few words."""


class MissingMedium(MalformedDescription):
    """A description without the medium that was looked for."""


@dataclass(frozen=True, slots=True)
class Description:
    """What the phone says of a stream: ticks per second, payload type, H.264 parameter sets (none
    where they come before the key frames), the URL by which it is set up, its SSRC where the
    phone has told it, and how sound is packed, where it is sound."""

    rate: int
    payload_type: int
    parameters: tuple[bytes, ...]
    control: str = ""
    source: int | None = None
    sound: SoundFormat | None = None


@dataclass(slots=True)
class _Medium:
    kind: str
    attributes: dict[str, str] = field(default_factory=dict)


def parse_description(text: str, wanted: Medium = "video") -> Description:
    """Read the video of a session description, else its first medium. Raises MalformedDescription.

    The scene camera's also describes its microphone: `wanted` "audio" reads that, and raises
    MissingMedium where it is off. The `control` of either is kept, as the client library does; any
    other medium is set up by the session's own URL.
    """
    media = _media(text)
    if not media:
        raise MalformedDescription("it describes nothing")
    found = next((medium for medium in media if medium.kind == wanted), None)
    if found is None and wanted == "audio":
        raise MissingMedium("it describes no sound")
    attributes = (found or media[0]).attributes
    mapping = _MAPPING.fullmatch(attributes.get("rtpmap", "").strip())
    if mapping is None:
        raise MalformedDescription("its rtpmap can't be read")
    payload_type, rate = int(mapping[1]), int(mapping[2])
    if payload_type > 127 or not LEAST_RATE <= rate <= MOST_RATE:
        raise MalformedDescription(f"payload type {payload_type} at {rate} ticks per second")
    control = attributes.get("control", "").strip() if found else ""
    if wanted == "audio":
        return Description(rate, payload_type, (), control, sound=_sound_format(attributes, rate))
    return Description(rate, payload_type, _parameter_sets(attributes), control)


def _sound_format(attributes: Mapping[str, str], rate: int) -> SoundFormat:
    _, _, options = attributes.get("fmtp", "").strip().partition(" ")
    encoding = attributes.get("rtpmap", "").strip().partition(" ")[2]
    try:
        return parse_format(encoding.partition("/")[0], options, rate)
    except MalformedSound as error:
        raise MalformedDescription(str(error)) from error


def _media(text: str) -> list[_Medium]:
    media: list[_Medium] = []
    for line in text.splitlines():
        name, _, value = line[:MOST_LINE].partition("=")
        if name == "m":
            media.append(_Medium(value.split(" ", 1)[0]))
        elif name == "a" and media:
            attribute, _, content = value.partition(":")
            media[-1].attributes.setdefault(attribute, content)
    return media


def _parameter_sets(attributes: Mapping[str, str]) -> tuple[bytes, ...]:
    _, _, options = attributes.get("fmtp", "").strip().partition(" ")
    pairs = (option.partition("=")[::2] for option in options.split(";"))
    texts = {name.strip(): value for name, value in pairs}.get(_SETS, "").strip().split(",")
    texts = [each for each in texts if each]
    if len(texts) > MOST_SETS or any(len(each) > 2 * MOST_PARAMETERS for each in texts):
        raise MalformedDescription("its H.264 parameters are too large")
    try:
        units = tuple(base64.b64decode(each, validate=True) for each in texts)
    except (binascii.Error, ValueError):
        raise MalformedDescription("its H.264 parameters are no base64") from None
    if units and not all(units):
        raise MalformedDescription("one of its H.264 parameters is empty")
    if units:
        read_parameters(units)
    return units


def read_parameters(units: tuple[bytes, ...]) -> StreamParameters:
    """What the sequence parameter set among some units says. Raises MalformedDescription."""
    parameters = None
    for unit in units:
        if unit[0] & 0x1F == wire.SEQUENCE_PARAMETERS:
            try:
                parameters = parse_parameters(unit)
            except wire.MalformedPacket as error:
                raise MalformedDescription(
                    f"its H.264 parameters can't be read: {error}"
                ) from error
    if parameters is None:
        raise MalformedDescription("its H.264 parameters do not give the picture's size")
    return parameters
