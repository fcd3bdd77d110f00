"""What Neon Player exports of a recording: tables, beside which the video does not lie."""

from __future__ import annotations

from pathlib import Path

from devices.device import DeviceError
from devices.recording.description import RecordingDescription, tracked_gaze
from devices.recording.tally import Tally
from devices.recording.trackers.cloud import (
    BLINK_TABLE,
    FIXATION_TABLE,
    GAZE_TABLE,
    scene_videos,
    table_blinks,
    table_fixations,
    table_gaze,
)
from devices.recording.trackers.neon import native_family, native_focal, native_scene

OLD_GAZE_TABLE = "gaze_positions.csv"  # as the first Neon Players called it


def is_player_export(path: Path) -> bool:
    """Whether a folder looks like an export of Neon Player: gaze in ns, and no video of it."""
    if (path / OLD_GAZE_TABLE).is_file():
        return True
    return (path / GAZE_TABLE).is_file() and not scene_videos(path)


def read_player_export(path: Path, tally: Tally) -> RecordingDescription:
    """Read the tables, with the scene video of the recording that the export lies in.

    Raises DeviceError where there is none above it.
    """
    found = ((folder, native_family(folder)) for folder in path.resolve().parents[:4])
    recording, family = next(((f, kind) for f, kind in found if kind is not None), (None, None))
    if recording is None or family is None:
        raise DeviceError(
            f"{path}: gaze without a scene video: leave an export of Neon Player in its "
            "recording's folder, or download 'Timeseries Data + Scene Video' from Pupil Cloud"
        )
    scene = native_scene(recording, family, tally)
    table = path / GAZE_TABLE
    file = table if table.is_file() else path / OLD_GAZE_TABLE
    gaze = tracked_gaze(file, table_gaze(file, tally), scene.video, scene.times, tally)
    return RecordingDescription(
        name=f"Neon Player export {path.resolve().name} of {recording.name}",
        video=scene.video,
        frame_times=scene.times,
        gaze=gaze,
        fixations=table_fixations(path / FIXATION_TABLE, gaze, scene.video, tally),
        blinks=table_blinks(path / BLINK_TABLE, tally),
        focal=native_focal(recording),
    )
