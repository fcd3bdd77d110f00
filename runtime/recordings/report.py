"""What a recording is worth, on one screen or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from devices.clock import NANOSECONDS
from devices.device import DeviceInfo
from devices.recording.centres import CentreError, centre_error, pixels_per_degree
from devices.recording.formats import opened, recordings
from devices.recording.playback import RecordingDevice
from runtime.bundle.manifest import Settings
from runtime.recordings.fixations import Agreement, RuleResult, rule_results
from runtime.recordings.quality import GazeQuality, gaze_quality, usual_rate


@dataclass(frozen=True, slots=True)
class RecordingReport:
    """Everything that is measured of a recording. Seconds, Hz, pixels of the scene."""

    recording: str
    device: str
    seconds: float
    starts_at: int
    frame_width: int
    frame_height: int
    frame_rate: float | None
    gaze: GazeQuality | None
    fixations: tuple[RuleResult, ...]
    blinks: int
    centres: CentreError | None
    centres_degrees: float | None
    losses: tuple[dict[str, object], ...]
    notices: tuple[str, ...]


def reports(path: Path, strict: bool = False) -> Iterator[RecordingReport]:
    """The report of the recording at a path, or of each of many. Raises DeviceError."""
    if path.is_file():
        held = opened(path)[1] if path.suffix.lower() == ".zip" else None
        if held is None:
            yield measured(path, strict)
            return
        found, folder = recordings(held.folder), held.folder
    else:
        folder, _ = opened(path)
        found = recordings(folder)
    if found in ((), (folder,)):
        yield measured(path, strict)
        return
    for each in found:
        yield replace(measured(each, strict), recording=str(path / each.relative_to(folder)))


def measured(path: Path, strict: bool = False) -> RecordingReport:
    """The report of one recording. Raises DeviceError where it can't be read."""
    device = RecordingDevice(path, fast=True, strict=strict)
    with device as info:
        return _report(path, device, info)


def _report(path: Path, device: RecordingDevice, info: DeviceInfo) -> RecordingReport:
    read = device.description
    settings = Settings(live_height=1, live_width=1)  # what a bundle has by default; no model looks
    has_gaze = read.gaze.times.size > 0
    error = centre_error(read)
    return RecordingReport(
        recording=str(path),
        device=info.name,
        seconds=(read.end - read.start) / NANOSECONDS,
        starts_at=read.start,
        frame_width=info.frame_width,
        frame_height=info.frame_height,
        frame_rate=usual_rate(read.frame_times),
        gaze=gaze_quality(read, settings.gaze_age_limit) if has_gaze else None,
        fixations=rule_results(read, info, settings),
        blinks=len(read.blinks),
        centres=error,
        centres_degrees=None if error is None else error.pixels / pixels_per_degree(read),
        losses=tuple(asdict(loss) for loss in read.losses),
        notices=read.notices,
    )


def as_json(report: RecordingReport) -> str:
    """One line of JSON; unknown is null."""
    return json.dumps(asdict(report), ensure_ascii=False, allow_nan=False)


def as_lines(report: RecordingReport) -> Iterator[str]:
    """For a person, at most a screen."""
    yield f"recording  {report.device}"
    yield (
        f"video      {report.seconds:.1f} s, {report.frame_width} x {report.frame_height}"
        f"{_rate(report.frame_rate)}"
    )
    if report.gaze is None:
        yield "gaze       none: only a fixation file says what was looked at"
    else:
        yield from _gaze_lines(report.gaze)
    yield f"blinks     {report.blinks}"
    if report.centres is not None:
        error = report.centres
        yield (
            f"centres    the tracker's lie {report.centres_degrees:.2f} degrees from its own gaze "
            f"({error.x:+.1f}, {error.y:+.1f} pixels, median of {error.count})"
        )
    for result in report.fixations:
        yield (
            f"fixations  {result.rule:<10} {result.count:>6}, {result.per_minute:5.1f} a minute"
            f"{_agreement(result.agreement)}"
        )
    for notice in report.notices:
        yield f"note       {notice}"


def _gaze_lines(gaze: GazeQuality) -> Iterator[str]:
    yield f"gaze       {gaze.samples} samples{_rate(gaze.rate)}"
    lost = [f"{count} {cause}" for cause, count in gaze.lost.items()]
    yield f"lost       {', '.join(lost) if lost else 'none'}"
    gaps = gaze.gaps
    if gaps.count:
        yield f"gaps       {gaps.count}, the longest {gaps.longest:.2f} s, all {gaps.total:.2f} s"
    if gaze.precision is not None:
        basis = "" if gaze.is_field_known else " (the camera's field of view is assumed)"
        yield f"precision  {gaze.precision:.3f} degrees from sample to sample (RMS){basis}"
    share = 100 * gaze.frames_without / max(1, gaze.frames)
    yield f"frames     {gaze.frames_without} of {gaze.frames} without gaze ({share:.1f} %)"


def _rate(rate: float | None) -> str:
    return "" if rate is None else f", {rate:.1f} Hz"


def _agreement(agreement: Agreement | None) -> str:
    if agreement is None:
        return ""
    kappa = "unknown" if agreement.kappa is None else f"{agreement.kappa:.2f}"
    apart = "" if agreement.degrees is None else f", centres {agreement.degrees:.2f} degrees apart"
    return f"; {agreement.matched} of the tracker's {agreement.of} matched, kappa {kappa}{apart}"
