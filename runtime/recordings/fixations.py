"""The fixations of a recording: by each rule, and how those agree with the tracker's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from devices.device import DeviceInfo
from devices.recording.centres import closed_fixations, pixels_per_degree
from devices.recording.description import RecordingDescription
from devices.samples import Blink, Fixation, FixationSource
from runtime.answers.session import SessionOptions, fixation_rule
from runtime.bundle.manifest import Settings
from runtime.stream.fixation_rules import FixationRule, FrameMark, GazeEvent

MATCHED = 0.5  # overlap over union, from which on two fixations are one
MINUTE = 60e9
DEVICE, FILE = "device", "file"


@dataclass(frozen=True, slots=True)
class Agreement:
    """With the tracker's own fixations: how many of them are matched, sample by sample kappa, and
    how far the centres of matched ones lie apart in degrees, in the median."""

    matched: int
    of: int
    kappa: float | None
    degrees: float | None


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule finds in a recording. `agreement`: None for the tracker's own fixations, and
    where there are none."""

    rule: str
    count: int
    per_minute: float
    agreement: Agreement | None


def rule_results(
    read: RecordingDescription, info: DeviceInfo, settings: Settings
) -> tuple[RuleResult, ...]:
    """Each rule over the whole recording, from gaze alone (no rule sees the scene move here)."""
    own = closed_fixations(read)
    minutes = max((read.end - read.start) / MINUTE, 1e-9)
    results = []
    if own:
        results.append(RuleResult(DEVICE, len(own), len(own) / minutes, None))
    for name in get_args(FixationSource):
        if name in (DEVICE, FILE) or read.gaze.times.size == 0:
            continue
        options = SessionOptions(rule=name, window=settings.window, rate=1.0)
        found = found_by(fixation_rule(options, settings, info), read)
        agreement = agreement_with(own, found, read) if own else None
        results.append(RuleResult(name, len(found), len(found) / minutes, agreement))
    return tuple(results)


def found_by(rule: FixationRule, read: RecordingDescription) -> list[Fixation]:
    """All fixations that a rule closes in a recording's gaze."""
    found = [rule.feed(event) for event in _events(read)]
    return [each for each in (*found, rule.flush()) if each is not None]


def _events(read: RecordingDescription) -> Iterator[GazeEvent]:
    """Blinks, gaze and frames in order of capture, as a session feeds them."""
    times = np.concatenate(
        [
            np.array([blink.captured_at for blink in read.blinks], np.int64),
            read.gaze.times,
            read.frame_times,
        ]
    )
    blinks, samples = len(read.blinks), read.gaze.times.size
    for place in np.argsort(times, kind="stable").tolist():
        if place < blinks:
            yield _blink(read, place)
        elif place < blinks + samples:
            yield read.gaze.sample(place - blinks)
        else:
            yield FrameMark(int(times[place]))


def _blink(read: RecordingDescription, number: int) -> Blink:
    return read.blinks[number]


def agreement_with(
    own: Sequence[Fixation], found: Sequence[Fixation], read: RecordingDescription
) -> Agreement:
    """How fixations that a rule found agree with the tracker's, each counted once at most."""
    free = list(found)
    apart = []
    for theirs in own:
        best = max(free, key=lambda ours: _overlap(theirs, ours), default=None)
        if best is not None and _overlap(theirs, best) > MATCHED:
            free.remove(best)
            x = (theirs.x - best.x) * read.video.width
            y = (theirs.y - best.y) * read.video.height
            apart.append(math.hypot(x, y) / pixels_per_degree(read))
    kappa = cohens_kappa(_labels(own, read), _labels(found, read))
    return Agreement(len(apart), len(own), kappa, float(np.median(apart)) if apart else None)


def cohens_kappa(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float | None:
    """Agreement beyond chance of two labels of the same samples; None where chance explains all."""
    if one.size == 0:
        return None
    agreed = float((one == other).mean())
    chance = float(one.mean() * other.mean() + (~one).mean() * (~other).mean())
    return None if chance >= 1 else (agreed - chance) / (1 - chance)


def _labels(fixations: Sequence[Fixation], read: RecordingDescription) -> NDArray[np.bool_]:
    """Which gaze samples lie in a fixation."""
    times = read.gaze.times
    inside = np.zeros(times.size, bool)
    for fixation in fixations:
        end = fixation.ended_at or fixation.captured_at
        first = np.searchsorted(times, fixation.started_at)
        inside[first : np.searchsorted(times, end, side="right")] = True
    return inside


def _overlap(one: Fixation, other: Fixation) -> float:
    """Overlap over union of their spans."""
    ends = one.ended_at or one.captured_at, other.ended_at or other.captured_at
    shared = min(ends) - max(one.started_at, other.started_at)
    whole = max(ends) - min(one.started_at, other.started_at)
    return shared / whole if whole > 0 and shared > 0 else 0.0
