"""A recording as Pupil Cloud exports it: CSV tables beside the scene video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.device import DeviceError
from devices.recording.description import (
    GAZE,
    GazeTrack,
    Points,
    RecordingDescription,
    tracked_blinks,
    tracked_fixations,
    tracked_gaze,
    whole_spans,
)
from devices.recording.tables import Column, Rows, read_rows
from devices.recording.tally import Tally
from devices.recording.trackers.said import read_said
from devices.recording.trackers.scene import scene_of
from devices.recording.video import VideoTrack
from devices.samples import Blink, Fixation

FRAME_TABLE, GAZE_TABLE = "world_timestamps.csv", "gaze.csv"
FIXATION_TABLE, BLINK_TABLE = "fixations.csv", "blinks.csv"

TIME = Column(("timestamp [ns]",), whole=True)
GAZE_X, GAZE_Y = Column(("gaze x [px]",), hole=True), Column(("gaze y [px]",), hole=True)
WORN = Column(("worn",), blank=1.0)  # where nothing is said, the glasses count as worn
START, END = Column(("start timestamp [ns]",), whole=True), Column(("end timestamp [ns]",), True)
FIXATION_X, FIXATION_Y = Column(("fixation x [px]",)), Column(("fixation y [px]",))


def is_cloud(path: Path) -> bool:
    """Whether a folder looks like an export of Pupil Cloud."""
    return (path / FRAME_TABLE).is_file() or (path / GAZE_TABLE).is_file()


def scene_videos(path: Path) -> list[Path]:
    """The videos of an export. What macOS leaves beside each file on foreign disks is none."""
    return sorted(file for file in path.glob("*.mp4") if not file.name.startswith("._"))


def read_cloud(path: Path, tally: Tally) -> RecordingDescription:
    """Read an export folder. Raises DeviceError for what is missing or does not fit together."""
    videos = scene_videos(path)
    if len(videos) != 1:
        raise DeviceError(
            f"{path}: {len(videos)} .mp4 files where one is expected: download the export "
            "'Timeseries Data + Scene Video' and give the folder of one recording"
        )
    if not (path / GAZE_TABLE).is_file():
        raise DeviceError(f"{path}: the recording has no gaze ({GAZE_TABLE} is missing)")
    stamps = read_rows(path / FRAME_TABLE, TIME)
    if stamps.left_out:  # stamps that can't be read show up as frames without one
        causes = ", ".join(f"{count} {cause}" for cause, count in stamps.left_out.items())
        tally.remark(f"rows of {FRAME_TABLE}: {causes}")
    count_rounded(stamps, FRAME_TABLE, tally)
    scene = scene_of(path, videos, [stamps.columns[0]], tally)
    points = table_gaze(path / GAZE_TABLE, tally)
    gaze = tracked_gaze(path / GAZE_TABLE, points, scene.video, scene.times, tally)
    return RecordingDescription(
        name=f"Pupil Cloud export {path.resolve().name}",
        video=scene.video,
        frame_times=scene.times,
        gaze=gaze,
        fixations=table_fixations(path / FIXATION_TABLE, gaze, scene.video, tally),
        blinks=table_blinks(path / BLINK_TABLE, tally),
        focal=_focal(path / "scene_camera.json"),
    )


def table_gaze(file: Path, tally: Tally) -> Points:
    """The gaze of a table as Pupil Cloud and Neon Player write it, row by row."""
    rows = counted_rows(file, GAZE, tally, TIME, GAZE_X, GAZE_Y, WORN)
    times, x, y, worn = rows.columns
    return Points(times, np.stack([x, y], axis=1), worn > 0)


def table_fixations(
    file: Path, gaze: GazeTrack, video: VideoTrack, tally: Tally
) -> tuple[Fixation, ...]:
    """The table gives no onset: it lies where the gaze was then, at the mean if nothing says so."""
    if not file.is_file():
        return ()
    rows = counted_rows(file, "fixations", tally, START, END, FIXATION_X, FIXATION_Y)
    starts, ends, x, y = rows.columns
    mean = np.stack([x, y], axis=1)
    nearest = np.minimum(np.searchsorted(gaze.times, starts), gaze.times.size - 1)
    known = (gaze.times[nearest] == starts) & gaze.worn[nearest]
    pixels = np.stack([gaze.x, gaze.y], axis=1) * (video.width, video.height)
    first = np.where(known[:, None], pixels[nearest], mean)
    spans = whole_spans("fixations", starts, ends, tally)
    return tracked_fixations(spans, first, mean, video)


def table_blinks(file: Path, tally: Tally) -> tuple[Blink, ...]:
    """The blinks of a table; none if there is no table."""
    if not file.is_file():
        return ()
    starts, ends = counted_rows(file, "blinks", tally, START, END).columns
    return tracked_blinks(whole_spans("blinks", starts, ends, tally))


def counted_rows(file: Path, noun: str, tally: Tally, *columns: Column) -> Rows:
    """The rows of a table that can be read; the others are counted. Raises DeviceError."""
    rows = read_rows(file, *columns)
    tally.expect(noun, rows.total)
    for cause, count in rows.left_out.items():
        tally.leave_out(noun, f"{cause} in {file.name}", count)
    count_rounded(rows, file.name, tally)
    return rows


def count_rounded(rows: Rows, name: str, tally: Tally) -> None:
    """Say that times lost a few of their digits on the way."""
    if rows.rounded:
        tally.remark(f"{rows.rounded} times in {name} are known to a microsecond only")


def _focal(file: Path) -> float | None:
    """Focal length of the scene camera in pixels, as the export has it."""
    try:
        matrix: NDArray[np.float64] = np.array(read_said(file)["camera_matrix"], np.float64)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    usable = matrix.shape == (3, 3) and bool(np.isfinite(matrix).all()) and matrix[0, 0] > 0
    return float(matrix[0, 0]) if usable else None
