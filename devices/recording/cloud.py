"""A recording as Pupil Cloud exports it: CSV tables beside the scene video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.device import DeviceError
from devices.recording.description import (
    GazeTrack,
    RecordingDescription,
    checked_frame_times,
    tracked_blinks,
    tracked_fixations,
    tracked_gaze,
)
from devices.recording.tables import Column, read_columns
from devices.recording.video import VideoTrack, track
from devices.samples import Blink, Fixation

FRAMES, GAZE = "world_timestamps.csv", "gaze.csv"
FIXATIONS, BLINKS = "fixations.csv", "blinks.csv"

TIME = Column(("timestamp [ns]",), whole=True)
GAZE_X, GAZE_Y = Column(("gaze x [px]",)), Column(("gaze y [px]",))
WORN = Column(("worn",), blank=1.0)  # where nothing is said, the glasses count as worn
START, END = Column(("start timestamp [ns]",), whole=True), Column(("end timestamp [ns]",), True)
FIXATION_X, FIXATION_Y = Column(("fixation x [px]",)), Column(("fixation y [px]",))


def is_cloud(path: Path) -> bool:
    """Whether a folder looks like an export of Pupil Cloud."""
    return (path / FRAMES).is_file() or (path / GAZE).is_file()


def read_cloud(path: Path) -> RecordingDescription:
    """Read an export folder. Raises DeviceError for what is missing or does not fit together."""
    videos = sorted(path.glob("*.mp4"))
    if len(videos) != 1:
        raise DeviceError(
            f"{path}: {len(videos)} .mp4 files where one is expected: download the export "
            "'Timeseries Data + Scene Video' and give the folder of one recording"
        )
    if not (path / GAZE).is_file():
        raise DeviceError(f"{path}: the recording has no gaze ({GAZE} is missing)")
    video = track(videos)
    (times,) = read_columns(path / FRAMES, TIME)
    frame_times = checked_frame_times(path / FRAMES, times, video.count)
    gaze_times, x, y, worn = read_columns(path / GAZE, TIME, GAZE_X, GAZE_Y, WORN)
    pixels = np.stack([x, y], axis=1)
    gaze = tracked_gaze(path / GAZE, gaze_times, pixels, worn > 0, video, frame_times)
    return RecordingDescription(
        name=f"Pupil Cloud export {path.resolve().name}",
        video=video,
        frame_times=frame_times,
        gaze=gaze,
        fixations=_fixations(path / FIXATIONS, gaze, pixels, video),
        blinks=_blinks(path / BLINKS),
    )


def _fixations(
    file: Path, gaze: GazeTrack, pixels: NDArray[np.float64], video: VideoTrack
) -> tuple[Fixation, ...]:
    """The table gives no onset: it lies where the gaze was then, at the mean if nothing says so."""
    if not file.is_file():
        return ()
    starts, ends, x, y = read_columns(file, START, END, FIXATION_X, FIXATION_Y)
    mean = np.stack([x, y], axis=1)
    nearest = np.minimum(np.searchsorted(gaze.times, starts), gaze.times.size - 1)
    known = (gaze.times[nearest] == starts) & gaze.worn[nearest]
    first = np.where(known[:, None], pixels[nearest], mean)
    return tracked_fixations(file, starts, ends, first, mean, video)


def _blinks(file: Path) -> tuple[Blink, ...]:
    if not file.is_file():
        return ()
    return tracked_blinks(file, *read_columns(file, START, END))
