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


class BadMessage(ValueError):
    """A message that is not as documented. It says why in a few words."""


@dataclass(frozen=True, slots=True)
class PupilClock:
    """Host time (Unix ns) = Pupil time (s) + `offset` (ns)."""

    offset: int

    def date(self, pupil_seconds: float, arrived_at: int) -> int | None:
        """The capture time (Unix ns, host); None if it would lie in the future."""
        moment = round(pupil_seconds * NANOSECONDS) + self.offset
        return None if moment - arrived_at > FUTURE else moment


def from_bottom_left(position: object) -> tuple[float, float]:
    """A `norm_pos` with its origin at the top left. Raises BadMessage."""
    try:
        x, y = position
        return float(x), 1.0 - float(y)
    except (TypeError, ValueError) as error:
        raise BadMessage("no position") from error


def number(message: Mapping[str, Any], name: str) -> float:
    """A number of a message. Raises BadMessage."""
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadMessage(f"no {name}")
    return float(value)


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
    confidence = min(max(number(message, "confidence"), 0.0), 1.0)
    return GazeSample(captured_at, arrived_at, x, y, confidence >= least, confidence)


def fixation(message: Mapping[str, Any], started_at: int, arrived_at: int) -> Fixation:
    """A fixation as far as Capture's detector has it; `duration` is in ms. Raises BadMessage.

    While one lasts, Capture says it again and again, each time over its newest gaze.
    """
    x, y = from_bottom_left(message.get("norm_pos"))
    ended_at = started_at + round(number(message, "duration") * 1e6)
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
            return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        height, width = int(message["height"]), int(message["width"])
        flat = np.frombuffer(data, np.uint8)
        if kind == "bgr":
            return np.ascontiguousarray(flat.reshape(height, width, 3)[..., ::-1])
        if kind == "yuv":
            return rgb_from_planes(flat, width, height)
        if kind == "gray":
            return np.repeat(flat.reshape(height, width, 1), 3, axis=2)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadMessage("a frame that can't be read") from error
    raise BadMessage(f"frames in the format {kind!r}")
