"""A Neon recording in its native format, through pupil-labs-neon-recording."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from devices.device import DeviceError
from devices.recording.description import (
    RecordingDescription,
    check_overlap,
    fixation_pair,
    make_gaze_track,
)
from devices.recording.video import track
from devices.samples import Blink, Fixation

if TYPE_CHECKING:
    from pupil_labs.neon_recording import NeonRecording

SCENE_VIDEO = re.compile(r"^(Neon|PI world) Scene Camera v\d+ ps(\d+)\.mp4$")
Stream = TypeVar("Stream")


def is_neon(path: Path) -> bool:
    """Whether a folder looks like a recording in Neon's native format."""
    return (path / "info.json").is_file() and bool(_scene_parts(path))


def read_neon(path: Path) -> RecordingDescription:
    """Read a recording folder; frames and gaze keep the times they were recorded with.

    Raises DeviceError for a recording without gaze or video, or with gaze of another time.
    """
    # It pulls pandas and takes seconds to import.
    from pupil_labs import neon_recording

    try:
        recording = neon_recording.open(path)
    except Exception as error:  # the library has no error of its own for a damaged folder
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DeviceError(f"{path}: not a readable Neon recording: {reason}") from error
    video = track(_scene_parts(path))
    times = np.asarray(_required(recording, lambda: recording.scene.time, path, "scene video"))
    if times.size != video.count:
        raise DeviceError(
            f"{path}: {video.count} frames and {times.size} time stamps: the recording is damaged"
        )
    size = video.width, video.height
    gaze_times = np.asarray(_required(recording, lambda: recording.gaze.time, path, "gaze"))
    points = np.asarray(recording.gaze.point)
    worn = _worn(recording, gaze_times)
    gaze = make_gaze_track(path, gaze_times.astype(np.int64), points, worn, size)
    check_overlap(path, times, gaze)
    return RecordingDescription(
        name=f"Neon recording {path.name}",
        video=video,
        frame_times=times.astype(np.int64),
        gaze=gaze,
        fixations=_fixations(recording, size),
        blinks=_blinks(recording),
    )


def _scene_parts(path: Path) -> list[Path]:
    parts = [
        (int(match[2]), file)
        for file in path.glob("*.mp4")
        if (match := SCENE_VIDEO.match(file.name))
    ]
    return [file for _, file in sorted(parts)]


def _optional(recording: NeonRecording, read: Callable[[], Stream]) -> Stream | None:
    """A stream that not every recording has."""
    try:
        return read()
    except recording.SensorError:
        return None


def _required(
    recording: NeonRecording, read: Callable[[], Stream], path: Path, noun: str
) -> Stream:
    stream = _optional(recording, read)
    if stream is None:
        raise DeviceError(f"{path}: the recording has no {noun}")
    return stream


def _worn(recording: NeonRecording, gaze_times: np.ndarray) -> np.ndarray:
    """The worn state at each gaze sample: the newest one known by then."""
    stream = _optional(recording, lambda: recording.worn)
    if stream is None or len(stream) == 0:
        return np.ones(gaze_times.size, bool)
    newest = np.searchsorted(np.asarray(stream.time), gaze_times, side="right") - 1
    return np.asarray(stream.worn)[np.maximum(newest, 0)] > 0


def _fixations(recording: NeonRecording, size: tuple[int, int]) -> tuple[Fixation, ...]:
    stream = _optional(recording, lambda: recording.fixations)
    if stream is None:
        return ()
    columns = (stream.start_time, stream.stop_time, stream.start_gaze_point, stream.mean_gaze_point)
    pairs = [
        fixation_pair(int(start), int(end), tuple(first / size), tuple(mean / size))
        for start, end, first, mean in zip(*columns, strict=True)
    ]
    return tuple(fixation for pair in pairs for fixation in pair)


def _blinks(recording: NeonRecording) -> tuple[Blink, ...]:
    stream = _optional(recording, lambda: recording.blinks)
    if stream is None:
        return ()
    return tuple(
        Blink(int(end), int(end), int(start), int(end))
        for start, end in zip(stream.start_time, stream.stop_time, strict=True)
    )
