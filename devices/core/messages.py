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
from devices.samples import Fixation, GazeSample

GAZE_TOPIC, FRAME_TOPIC, FIXATION_TOPIC = "gaze.", "frame.world", "fixation"
START_FRAMES = {
    "subject": "start_plugin",
    "name": "Frame_Publisher",
    "args": {"format": "jpeg"},
}
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


def gaze_sample(message: Mapping[str, Any], captured_at: int, arrived_at: int) -> GazeSample:
    """A gaze datum. Raises BadMessage."""
    x, y = from_bottom_left(message.get("norm_pos"))
    confidence = min(max(number(message, "confidence"), 0.0), 1.0)
    return GazeSample(captured_at, arrived_at, x, y, confidence=confidence)


def fixation(message: Mapping[str, Any], started_at: int, arrived_at: int) -> Fixation:
    """A fixation of Capture's detector; its `duration` is in ms. Raises BadMessage."""
    x, y = from_bottom_left(message.get("norm_pos"))
    ended_at = started_at + round(number(message, "duration") * 1e6)
    return Fixation(ended_at, arrived_at, x, y, started_at, ended_at, "device")


def pixels(message: Mapping[str, Any], data: bytes) -> NDArray[np.uint8]:
    """A frame, uint8 RGB (height, width, 3), from JPEG, BGR or grey. Raises BadMessage."""
    kind = message.get("format")
    try:
        if kind == "jpeg":
            return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        height, width = int(message["height"]), int(message["width"])
        flat = np.frombuffer(data, np.uint8)
        if kind == "bgr":
            return np.ascontiguousarray(flat.reshape(height, width, 3)[..., ::-1])
        if kind == "gray":
            return np.repeat(flat.reshape(height, width, 1), 3, axis=2)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadMessage("a frame that can't be read") from error
    raise BadMessage(f"frames in the format {kind!r}")
