"""A recording as Pupil Cloud exports it: CSV tables beside the scene video."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from devices.device import DeviceError
from devices.recording.description import (
    GazeTrack,
    RecordingDescription,
    check_overlap,
    fixation_pair,
    make_gaze_track,
)
from devices.recording.tables import read_table
from devices.recording.video import track
from devices.samples import Blink, Fixation

GAZE, FRAMES = "gaze.csv", "world_timestamps.csv"
FIXATIONS, BLINKS = "fixations.csv", "blinks.csv"


def is_cloud(path: Path) -> bool:
    """Whether a folder looks like an export of Pupil Cloud."""
    return (path / FRAMES).is_file() or (path / GAZE).is_file()


def read_cloud(path: Path) -> RecordingDescription:
    """Read an export folder. Raises DeviceError for what is missing or does not fit together."""
    videos = sorted(path.glob("*.mp4"))
    if len(videos) != 1:
        raise DeviceError(f"{path}: it holds {len(videos)} .mp4 files where one is expected")
    if not (path / GAZE).is_file():
        raise DeviceError(f"{path}: the recording has no gaze ({GAZE} is missing)")
    video = track(videos)
    times = np.array(read_table(path / FRAMES).integers("timestamp [ns]"), np.int64)
    if times.size != video.count:
        raise DeviceError(
            f"{path}: {video.count} frames and {times.size} time stamps in {FRAMES}: "
            "they belong to different recordings"
        )
    size = video.width, video.height
    gaze = _gaze(path, size)
    check_overlap(path, times, gaze)
    return RecordingDescription(
        name=f"Pupil Cloud export {path.name}",
        video=video,
        frame_times=times,
        gaze=gaze,
        fixations=_fixations(path, gaze, size),
        blinks=_blinks(path),
    )


def _gaze(path: Path, size: tuple[int, int]) -> GazeTrack:
    table = read_table(path / GAZE)
    times = np.array(table.integers("timestamp [ns]"), np.int64)
    across = np.array(table.numbers("gaze x [px]"))
    down = np.array(table.numbers("gaze y [px]"))
    worn = np.ones(times.size, bool)
    if "worn" in table.columns:
        worn = np.array([row["worn"] not in ("0", "0.0", "False", "") for row in table.rows], bool)
    return make_gaze_track(path, times, np.stack([across, down], axis=1), worn, size)


def _fixations(path: Path, gaze: GazeTrack, size: tuple[int, int]) -> tuple[Fixation, ...]:
    """Each as it became known; its onset lies where the gaze was then."""
    if not (path / FIXATIONS).is_file():
        return ()
    table = read_table(path / FIXATIONS)
    columns = zip(
        table.integers("start timestamp [ns]"),
        table.integers("end timestamp [ns]"),
        table.numbers("fixation x [px]"),
        table.numbers("fixation y [px]"),
        strict=True,
    )
    fixations: list[Fixation] = []
    for start, end, x, y in columns:
        near = min(int(np.searchsorted(gaze.times, start)), gaze.times.size - 1)
        first = float(gaze.x[near]), float(gaze.y[near])
        fixations += fixation_pair(start, end, first, (x / size[0], y / size[1]))
    return tuple(fixations)


def _blinks(path: Path) -> tuple[Blink, ...]:
    if not (path / BLINKS).is_file():
        return ()
    table = read_table(path / BLINKS)
    starts, ends = table.integers("start timestamp [ns]"), table.integers("end timestamp [ns]")
    return tuple(Blink(end, end, start, end) for start, end in zip(starts, ends, strict=True))
