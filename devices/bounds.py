"""What a sample from a live device may say at all: finite numbers, within bounds."""

from __future__ import annotations

import numpy as np

from devices.clock import NANOSECONDS
from devices.samples import Blink, Fixation, GazeSample, Sample, SceneFrame, Sound

FARTHEST = 10.0
"""Widths or heights of the frame by which a position may lie outside it; beyond, it is none."""
LATEST = 2**62
"""Unix ns (the year 2116): sums of two such times still fit 64 bits."""
LONGEST_EVENT = 3600 * NANOSECONDS
MOST_SIDE, MOST_PIXELS = 8192, 2**24
"""Of a scene frame; a camera of 4K has half of that."""

LEAST_SOUND_RATE, MOST_SOUND_RATE, MOST_SOUND = 4_000, 192_000, 2**20
"""Hz, and samples in one piece."""
LOUDEST = 8.0
"""Of a sound sample; a decoder may overshoot 1 a little."""

NO_PLACE = "not a valid position"
NO_TIME = "not a valid time"
NO_CONFIDENCE = "not a valid confidence"
NO_SOUND = "not a valid sound"


def is_place(x: float, y: float) -> bool:
    """Whether fractions of the frame are finite and near enough to it to mean anything."""
    return abs(x) <= FARTHEST and abs(y) <= FARTHEST


def is_somewhere(sample: Sample) -> bool:
    """Whether a sample that needs a place has one; closed eyes and glasses put down need none."""
    if isinstance(sample, Fixation) or (isinstance(sample, GazeSample) and sample.worn):
        return is_place(sample.x, sample.y)
    return True


def is_moment(moment: int) -> bool:
    """Whether a number can be a time, Unix ns."""
    return 0 <= moment < LATEST


def is_size(width: int, height: int) -> bool:
    """Whether a frame may be that large, in pixels."""
    return 0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE and width * height <= MOST_PIXELS


def is_sound(sound: Sound) -> bool:
    """Whether a piece of sound has a rate, a length and a loudness that can be."""
    samples = sound.samples
    if samples.ndim != 1 or not 0 < samples.size <= MOST_SOUND:
        return False
    return bool(np.isfinite(samples).all()) and float(np.abs(samples).max()) <= LOUDEST


def fault(sample: Sample) -> str | None:
    """Why a sample can't be one, in a few words; None where nothing is wrong with it."""
    if isinstance(sample, Sound) and not LEAST_SOUND_RATE <= sample.rate <= MOST_SOUND_RATE:
        return NO_SOUND
    if not (is_moment(sample.captured_at) and is_moment(sample.arrived_at)):
        return NO_TIME
    if isinstance(sample, Fixation | Blink) and not _is_span(sample.started_at, sample.ended_at):
        return NO_TIME
    if not is_somewhere(sample):
        return NO_PLACE
    if isinstance(sample, GazeSample) and not _is_share(sample.confidence):
        return NO_CONFIDENCE
    if isinstance(sample, SceneFrame) and not is_size(*sample.pixels.shape[1::-1]):
        return NO_PLACE
    if isinstance(sample, Sound) and not is_sound(sample):
        return NO_SOUND
    return None


def _is_span(started_at: int, ended_at: int | None) -> bool:
    if not is_moment(started_at):
        return False
    return ended_at is None or 0 <= ended_at - started_at <= LONGEST_EVENT


def _is_share(confidence: float | None) -> bool:
    return confidence is None or 0 <= confidence <= 1
