"""A Neon recording in its native format, through pupil-labs-neon-recording."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

import av.logging
import numpy as np
from numpy.typing import NDArray

from devices.device import DeviceError
from devices.recording.description import (
    RecordingDescription,
    checked_frame_times,
    tracked_blinks,
    tracked_fixations,
    tracked_gaze,
)
from devices.recording.video import VideoTrack, track
from devices.recording.video_file import VideoFile
from devices.samples import Blink, Fixation

if TYPE_CHECKING:
    from pupil_labs.neon_recording import NeonRecording

SCENE = "Neon Scene Camera v1 ps"
STREAM_FILE = re.compile(r" ps\d+\.(mp4|raw|time)$")
Stream = TypeVar("Stream")


def is_neon(path: Path) -> bool:
    """Whether a folder looks like a recording in Neon's native format."""
    return any(STREAM_FILE.search(file.name) for file in path.iterdir())


def read_neon(path: Path) -> RecordingDescription:
    """Read a recording folder; frames and gaze keep the times they were recorded with.

    Raises DeviceError for a recording without gaze or video, or with gaze of another time.
    """
    video = track(_scene_parts(path))
    frame_times = np.concatenate([_part_times(file) for file in video.files])
    frame_times = checked_frame_times(path, frame_times, video.count)
    recording = _library().open(path)
    if not _holds(path, "gaze"):
        raise DeviceError(f"{path}: the recording has no gaze: nothing says what was looked at")
    gaze = _load(path, "gaze", lambda: recording.gaze)
    times, points = np.asarray(gaze.time), np.asarray(gaze.point)
    worn = _worn(path, recording, times)
    return RecordingDescription(
        name=f"Neon recording {path.resolve().name}",
        video=video,
        frame_times=frame_times,
        gaze=tracked_gaze(path, times, points, worn, video, frame_times),
        fixations=_fixations(path, recording, video),
        blinks=_blinks(path, recording),
    )


def _library() -> ModuleType:
    """The library, imported when it is needed: it pulls pandas and takes seconds.

    Importing it turns on libav's log, which would print lines of its own beside ours.
    """
    level = av.logging.get_level()
    from pupil_labs import neon_recording

    av.logging.set_level(level)
    return neon_recording


def _scene_parts(path: Path) -> list[Path]:
    parts = sorted(path.glob(f"{SCENE}*.mp4"), key=lambda file: int(file.stem[len(SCENE) :]))
    if not parts:
        raise DeviceError(f"{path}: the recording has no scene video ({SCENE}1.mp4)")
    return parts


def _part_times(file: VideoFile) -> NDArray[np.int64]:
    """Capture times of the frames of one part.

    The library cuts the longer one where frames and times differ in number; here that is an error.
    """
    beside = file.path.with_suffix(".time")
    if not beside.is_file():
        raise DeviceError(f"{beside}: the time stamps of the scene video are missing")
    return checked_frame_times(beside, np.fromfile(beside, "<i8"), file.count)


def _holds(path: Path, stream: str) -> bool:
    """Whether a recording has a stream, as the phone wrote it or computed again at 200 Hz."""
    return any(path.glob(f"{stream} ps*.raw")) or (path / f"{stream}_200hz.raw").is_file()


def _load(path: Path, stream: str, read: Callable[[], Stream]) -> Stream:
    """Read a stream whose files are there. Raises DeviceError if they are damaged."""
    try:
        return read()
    except Exception as error:  # the library wraps whatever goes wrong, and has no list of it
        reason = str(error.__cause__ or error) or type(error).__name__
        raise DeviceError(f"{path}: its {stream} can't be read: {reason}") from error


def _worn(path: Path, recording: NeonRecording, gaze_times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the glasses were worn at each gaze sample: the newest that is known by then."""
    if not _holds(path, "worn"):
        return np.ones(gaze_times.size, bool)
    stream = _load(path, "worn", lambda: recording.worn)
    times, worn = np.asarray(stream.time), np.asarray(stream.worn) > 0
    if times.size == 0:
        return np.ones(gaze_times.size, bool)
    newest = np.searchsorted(times, gaze_times, side="right") - 1
    return worn[np.maximum(newest, 0)]


def _fixations(path: Path, recording: NeonRecording, video: VideoTrack) -> tuple[Fixation, ...]:
    if not _holds(path, "fixations"):
        return ()
    stream = _load(path, "fixations", lambda: recording.fixations)
    first, mean = np.asarray(stream.start_gaze_point), np.asarray(stream.mean_gaze_point)
    places = first.astype(np.float64), mean.astype(np.float64)
    return tracked_fixations(path, stream.start_time, stream.stop_time, *places, video)


def _blinks(path: Path, recording: NeonRecording) -> tuple[Blink, ...]:
    if not _holds(path, "blinks"):
        return ()
    stream = _load(path, "blinks", lambda: recording.blinks)
    return tracked_blinks(path, stream.start_time, stream.stop_time)
