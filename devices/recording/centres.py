"""Whether a tracker's fixations lie where its gaze is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from devices.optics.fields import likely_field
from devices.recording.description import RecordingDescription
from devices.samples import Fixation

FEWEST_SAMPLES = 5  # of gaze in a fixation whose centre is compared
MOST_DEGREES = 1.0


@dataclass(frozen=True, slots=True)
class CentreError:
    """Centre less the mean of the gaze within, the median of `count` fixations, in scene pixels."""

    count: int
    x: float
    y: float

    @property
    def pixels(self) -> float:
        """The length of it."""
        return math.hypot(self.x, self.y)


def pixels_per_degree(read: RecordingDescription) -> float:
    """At the middle of the frame."""
    if read.focal is not None:
        return read.focal * math.radians(1)
    return read.video.width / likely_field(read.video.width, read.video.height)[0]


def closed_fixations(read: RecordingDescription) -> list[Fixation]:
    """The tracker's own, each once, with its centre."""
    return [
        each for each in read.fixations if each.source == "device" and each.ended_at is not None
    ]


def centre_error(read: RecordingDescription) -> CentreError | None:
    """How far centres lie from gaze; None where there is nothing to compare."""
    gaze = read.gaze
    places = np.stack([gaze.x, gaze.y], axis=1) * gaze.worn[:, None]
    sums = np.concatenate([np.zeros((1, 2)), np.cumsum(places, axis=0)])
    counts = np.concatenate([[0], np.cumsum(gaze.worn)])
    away = []
    for fixation in closed_fixations(read):
        assert fixation.ended_at is not None
        first = np.searchsorted(gaze.times, fixation.started_at)
        last = np.searchsorted(gaze.times, fixation.ended_at, side="right")
        if (count := int(counts[last] - counts[first])) >= FEWEST_SAMPLES:
            mean = (sums[last] - sums[first]) / count
            away.append(np.array([fixation.x, fixation.y]) - mean)
    if not away:
        return None
    x, y = (np.median(away, axis=0) * (read.video.width, read.video.height)).tolist()
    return CentreError(len(away), x, y)


def centre_notice(read: RecordingDescription) -> tuple[str, ...]:
    """A line where the two lie more than a degree apart: one of them is not what it says."""
    error = centre_error(read)
    if error is None or error.pixels <= MOST_DEGREES * pixels_per_degree(read):
        return ()
    degrees = error.pixels / pixels_per_degree(read)
    return (
        f"{read.name}: the tracker's fixations lie {degrees:.1f} degrees from its own gaze "
        f"({error.x:+.0f}, {error.y:+.0f} pixels, the median of {error.count}): one of them lacks "
        "the wearer's offset: --fixations velocity finds them in the gaze itself",
    )
