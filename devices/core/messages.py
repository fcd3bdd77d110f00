"""What Pupil Capture says over ZeroMQ, as samples.

Source: the network API of Pupil Core (docs.pupil-labs.com/core/developer/network-api). A message
is a topic, a msgpack dictionary and, for frames, the pixels. `norm_pos` has its origin at the
bottom left; timestamps are seconds of Pupil's own clock.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from devices import bounds
from devices.clock import NANOSECONDS
from devices.core.planes import rgb_from_planes
from devices.samples import Blink, Fixation, GazeSample

GAZE_TOPIC, FRAME_TOPIC, FIXATION_TOPIC = "gaze.", "frame.world", "fixation"
BLINK_TOPIC = "blinks"
FRAME_FORMATS = ("jpeg", "bgr", "yuv", "gray")
"""In the order in which a camera is asked for them: not every one gives JPEG."""
LEAST_CONFIDENCE = 0.6
"""Of gaze, unless told otherwise: Capture's own."""
START_DETECTORS = tuple(
    {"subject": "start_plugin", "name": name, "args": {}}
    for name in ("Fixation_Detector", "Blink_Detection")
)
"""Capture leaves those alone that run already."""
LONGEST_BLINK = 60 * NANOSECONDS
FUTURE = NANOSECONDS // 50
"""Samples from farther ahead show that Pupil's clock was set."""
LONGEST_DELAY = 10 * NANOSECONDS
"""From capture to arrival, at most: what claims to be older has no date."""
LATEST_SECONDS = 2.0**32
"""Of Pupil's clock, which counts from some start of its own or from 1970."""
LONGEST_FIXATION = 3_600_000.0
"""Milliseconds."""
MOST_PIXELS_PER_BYTE = 64
"""Of a JPEG: that of a black picture, by the tables that cameras use."""


class BadMessage(ValueError):
    """A message that is not as documented. It says why in a few words."""


@dataclass(frozen=True, slots=True)
class PupilClock:
    """Host time (Unix ns) = Pupil time (s) + `offset` (ns)."""

    offset: int

    def date(self, pupil_seconds: float, arrived_at: int) -> int | None:
        """The capture time (Unix ns, host); None if it lay in the future or too far back."""
        moment = round(pupil_seconds * NANOSECONDS) + self.offset
        return moment if -FUTURE <= arrived_at - moment <= LONGEST_DELAY else None


def from_bottom_left(position: object) -> tuple[float, float]:
    """A `norm_pos` with its origin at the top left. Raises BadMessage."""
    if not isinstance(position, list | tuple) or len(position) != 2:
        raise BadMessage("no position")
    x, y = (_real(value, "position") for value in position)
    if not bounds.is_place(x, 1.0 - y):
        raise BadMessage(bounds.NO_PLACE)
    return x, 1.0 - y


def number(message: Mapping[str, Any], name: str, most: float) -> float:
    """A number of a message whose absolute value is at most `most`. Raises BadMessage."""
    value = _real(message.get(name), name)
    if not abs(value) <= most:
        raise BadMessage(f"a {name} of {value:g}")
    return value


def _real(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadMessage(f"no {name}")
    return float(value)


def pupil_seconds(message: Mapping[str, Any]) -> float:
    """When something was captured, on Pupil's clock. Raises BadMessage."""
    return number(message, "timestamp", LATEST_SECONDS)


def frames_asked(frame_format: str) -> tuple[Mapping[str, Any], ...]:
    """The notifications that start Capture's Frame Publisher, and that set its format."""
    start = {"subject": "start_plugin", "name": "Frame_Publisher", "args": {"format": frame_format}}
    return start, {"subject": "frame_publishing.set_format", "format": frame_format}


def gaze_sample(
    message: Mapping[str, Any],
    captured_at: int,
    arrived_at: int,
    least: float = LEAST_CONFIDENCE,
) -> GazeSample:
    """A gaze datum; below the confidence `least` there is no gaze. Raises BadMessage."""
    x, y = from_bottom_left(message.get("norm_pos"))
    confidence = min(max(number(message, "confidence", most=2.0), 0.0), 1.0)
    return GazeSample(captured_at, arrived_at, x, y, confidence >= least, confidence)


def fixation(message: Mapping[str, Any], started_at: int, arrived_at: int) -> Fixation:
    """A fixation as far as Capture's detector has it; `duration` is in ms. Raises BadMessage.

    While one lasts, Capture says it again and again, each time over its newest gaze.
    """
    x, y = from_bottom_left(message.get("norm_pos"))
    duration = number(message, "duration", LONGEST_FIXATION)
    if duration < 0:
        raise BadMessage(f"a duration of {duration:g}")
    ended_at = started_at + round(duration * 1e6)
    return Fixation(ended_at, arrived_at, x, y, started_at, ended_at, "device")


class Blinks:
    """Puts the blinks of Capture's detector together: it says when one begins and when it ends."""

    def __init__(self) -> None:
        self._began_at: int | None = None

    def take(self, message: Mapping[str, Any], at: int, arrived_at: int) -> Blink | None:
        """Take a message dated `at` (Unix ns); returns the blink that it ends."""
        kind, began_at = message.get("type"), self._began_at
        if kind == "onset":
            self._began_at = at
        elif kind == "offset":
            self._began_at = None
            if began_at is not None and 0 < at - began_at <= LONGEST_BLINK:
                return Blink(at, arrived_at, began_at, at)
        return None


def pixels(message: Mapping[str, Any], data: bytes) -> NDArray[np.uint8]:
    """A frame, uint8 RGB (height, width, 3), from a known format. Raises BadMessage."""
    kind = message.get("format")
    try:
        if kind == "jpeg":
            return _jpeg(data)
        if kind in ("bgr", "gray"):
            return _plain(message, data, channels=3 if kind == "bgr" else 1)
        if kind == "yuv":
            width, height = _sides(message)
            return rgb_from_planes(np.frombuffer(data, np.uint8), width, height)
    except BadMessage:
        raise
    except Exception as error:
        # The picture library answers damaged data with errors of many kinds.
        raise BadMessage("a frame that can't be read") from error
    raise BadMessage("frames in an unknown format")


def _jpeg(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        _check_size(*image.size)
        if image.width * image.height > MOST_PIXELS_PER_BYTE * len(data):
            raise BadMessage(f"{len(data)} bytes for {image.width} x {image.height} pixels")
        return np.asarray(image.convert("RGB"))


def _plain(message: Mapping[str, Any], data: bytes, channels: int) -> NDArray[np.uint8]:
    width, height = _sides(message)
    flat = np.frombuffer(data, np.uint8).reshape(height, width, channels)
    return np.ascontiguousarray(np.broadcast_to(flat[..., ::-1], (height, width, 3)))


def _sides(message: Mapping[str, Any]) -> tuple[int, int]:
    width, height = (round(number(message, name, bounds.MOST_SIDE)) for name in ("width", "height"))
    _check_size(width, height)
    return width, height


def _check_size(width: int, height: int) -> None:
    if not bounds.is_size(width, height):
        raise BadMessage(f"a frame of {width} x {height} pixels")
