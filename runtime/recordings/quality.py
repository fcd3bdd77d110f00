"""The quality of a recording's gaze: what is lost and why, gaps, precision."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.optics.fields import likely_field
from devices.recording.description import GAZE, GazeTrack, RecordingDescription
from devices.recording.trackers.core import LEAST_CONFIDENCE

GAP = 3.0  # intervals between samples, from which on it is a gap
WINDOW = 0.2  # seconds over which precision is measured


@dataclass(frozen=True, slots=True)
class Gaps:
    """Where the tracker said nothing: how many, the longest and all of them, in seconds."""

    count: int
    longest: float
    total: float


@dataclass(frozen=True, slots=True)
class GazeQuality:
    """Of a whole recording. `rate`: the usual one, in Hz. `lost`: samples that say no gaze, by
    cause. `precision`: sample-to-sample RMS in degrees, the median over windows of 0.2 s without a
    loss; None where there is no such window. `is_field_known`: whether degrees rest on the camera's
    own focal length. `frames_without`: frames at which gaze was lost or older than the limit.
    """

    samples: int
    rate: float | None
    lost: dict[str, int]
    gaps: Gaps
    precision: float | None
    is_field_known: bool
    frames: int
    frames_without: int


def gaze_quality(read: RecordingDescription, age_limit: float) -> GazeQuality:
    """Measure a recording; `age_limit`: seconds after which gaze is no longer that of a frame."""
    gaze = read.gaze
    return GazeQuality(
        gaze.times.size,
        usual_rate(gaze.times),
        _lost(read),
        gaps(gaze.times),
        precision(gaze, _directions(read)),
        read.focal is not None,
        read.frame_times.size,
        frames_without_gaze(gaze, read.frame_times, age_limit),
    )


def usual_rate(times: NDArray[np.int64]) -> float | None:
    """By the median interval, which gaps do not change; Hz."""
    interval = float(np.median(np.diff(times))) if times.size > 1 else 0.0
    return NANOSECONDS / interval if interval > 0 else None


def gaps(times: NDArray[np.int64]) -> Gaps:
    """Intervals of more than GAP usual ones. The time that is missing is what exceeds a usual."""
    steps = np.diff(times)
    if steps.size == 0:
        return Gaps(0, 0.0, 0.0)
    usual = float(np.median(steps))
    wide = steps[steps > GAP * usual]
    if wide.size == 0:
        return Gaps(0, 0.0, 0.0)
    missing = (wide - usual) / NANOSECONDS
    return Gaps(int(wide.size), float(missing.max()), float(missing.sum()))


def frames_without_gaze(gaze: GazeTrack, frame_times: NDArray[np.int64], age_limit: float) -> int:
    """Frames at which the newest sample says no gaze or is older than `age_limit` seconds."""
    newest = np.searchsorted(gaze.times, frame_times, side="right") - 1
    known = newest >= 0
    at = np.maximum(newest, 0)
    if gaze.times.size == 0:
        return frame_times.size
    fresh = frame_times - gaze.times[at] <= round(age_limit * NANOSECONDS)
    return int(np.count_nonzero(~(known & fresh & gaze.worn[at])))


def precision(gaze: GazeTrack, directions: NDArray[np.float64]) -> float | None:
    """Sample-to-sample RMS in degrees; `directions`: unit vectors (n, 3) of all samples.

    The median over windows, so that saccades, which are in few of them, do not count.
    """
    steps = np.diff(gaze.times)
    if steps.size == 0:
        return None
    usual = float(np.median(steps))
    sound = gaze.worn[1:] & gaze.worn[:-1] & (steps <= GAP * usual) & (steps > 0)
    cosines = np.clip((directions[1:] * directions[:-1]).sum(axis=1), -1, 1)
    chords = np.linalg.norm(directions[1:] - directions[:-1], axis=1)
    angles = np.where(cosines > 0, 2 * np.arcsin(np.clip(chords / 2, 0, 1)), np.arccos(cosines))
    window = max(2, round(WINDOW * NANOSECONDS / usual)) if usual > 0 else 0
    count = angles.size // window if window else 0
    if count == 0:
        return None
    whole = sound[: count * window].reshape(count, window).all(axis=1)
    squares = np.square(angles[: count * window]).reshape(count, window).mean(axis=1)
    if not whole.any():
        return None
    return math.degrees(float(np.median(np.sqrt(squares[whole]))))


def _directions(read: RecordingDescription) -> NDArray[np.float64]:
    """Unit vectors of all samples in an ideal camera's frame."""
    width, height = read.video.width, read.video.height
    focal = read.focal or width / 2 / math.tan(math.radians(likely_field(width, height)[0] / 2))
    x = (read.gaze.x - 0.5) * width / focal
    y = (read.gaze.y - 0.5) * height / focal
    vectors = np.stack([x, y, np.ones_like(x)], axis=1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _lost(read: RecordingDescription) -> dict[str, int]:
    """Samples that never came to be played, and those that say no gaze, by cause."""
    gaze = read.gaze
    lost: dict[str, int] = {}
    silent = int(np.count_nonzero(~gaze.worn))
    for loss in read.losses:
        if loss.noun != GAZE or loss.treatment == "put in order of time":
            continue
        lost[f"{loss.treatment} ({loss.cause})"] = loss.count
        silent -= loss.count * (loss.treatment == "taken as no gaze")
    unsure = 0
    if gaze.confidence is not None:
        unsure = int(np.count_nonzero(~gaze.worn & (gaze.confidence < LEAST_CONFIDENCE)))
    causes = {
        "pupil not found well enough": unsure,
        "not worn, or no gaze given": silent - unsure,
        "in a blink": _in_blinks(read),
    }
    return lost | {cause: count for cause, count in causes.items() if count}


def _in_blinks(read: RecordingDescription) -> int:
    """Samples that say gaze while the eyes were closed."""
    closed = np.zeros(read.gaze.times.size, bool)
    for blink in read.blinks:
        first = np.searchsorted(read.gaze.times, blink.started_at)
        last = np.searchsorted(read.gaze.times, blink.ended_at, side="right")
        closed[first:last] = True
    return int(np.count_nonzero(closed & read.gaze.worn))
