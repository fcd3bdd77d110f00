"""Recordings of other makers' glasses, in the form that glassesTools brings them all into."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.device import DeviceError
from devices.recording.description import (
    GAZE,
    Points,
    RecordingDescription,
    tracked_gaze,
)
from devices.recording.tables import Column, read_rows
from devices.recording.tally import Tally
from devices.recording.trackers.cloud import counted_rows
from devices.recording.trackers.said import read_said
from devices.recording.trackers.scene import scene_of

GAZE_TABLE, FRAME_TABLE, INFO = "gazeData.tsv", "frameTimestamps.tsv", "recording_info.json"
CALIBRATION, VIDEO = "calibration.xml", "worldCamera"
MOST_SIGNS = 120  # of a recording's name
MILLISECONDS = NANOSECONDS // 1000

TIME = Column(("timestamp",), whole=True, scale=MILLISECONDS)
FRAME = Column(("frame_idx",), whole=True)
X, Y = Column(("gaze_pos_vid_x",), hole=True), Column(("gaze_pos_vid_y",), hole=True)

MAKERS = (  # what the folder of a maker holds, and what glassesTools calls that tracker
    (("recording.g3",), "Tobii_Glasses_3"),
    (("sysinfo.json", "segments"), "Tobii_Glasses_2"),
    (("codec1.bin",), "SMI_ETG"),
    (("EyeData_*.csv",), "SeeTrue_STONE"),
    (("*.tsv", "*.mkv"), "VPS_19"),
    (("gaze.tsv", "metadata.json"), "Meta_Aria_Gen_1"),
)


def is_glasses(path: Path) -> bool:
    """Whether a folder holds a recording as glassesTools writes it."""
    return (path / GAZE_TABLE).is_file()


def maker_hint(path: Path) -> str | None:
    """What to do with a folder that is as another maker's program left it; None for no such."""
    for patterns, tracker in MAKERS:
        if all(any(path.glob(pattern)) for pattern in patterns):
            name = tracker.replace("_", " ")
            return (
                f"{path}: a recording of {name}: bring it into glassesTools' form and give the new "
                "folder: pip install 'gazeqwen-edge[glasses]', then python -c \"from pathlib "
                "import Path; from glassesTools import importing as i; "
                "i.do_import(Path('NEW_FOLDER'), "
                f"rec_info=i.get_recording_info(Path('{path}'), '{tracker}')[0])\""
            )
    return None


def read_glasses(path: Path, tally: Tally) -> RecordingDescription:
    """Read a folder; its times count from the recording's start, which is known to a second.

    Raises DeviceError for what is missing or does not fit together.
    """
    info = _info(path / INFO)
    start = _start(info)
    stamps = read_rows(path / FRAME_TABLE, FRAME, TIME)
    for cause, count in stamps.left_out.items():
        tally.remark(f"{count} rows of {FRAME_TABLE} left out ({cause})")
    frame_times = _by_frame(path, *stamps.columns, start)
    scene = scene_of(path, [_video(path, info)], [frame_times], tally)
    times, x, y = counted_rows(path / GAZE_TABLE, GAZE, tally, TIME, X, Y).columns
    places = np.stack([x, y], axis=1)
    # glassesTools marks what the tracker gives no gaze for as nan: that is no fault.
    points = Points(times + start, places, np.isfinite(places).all(axis=1))
    tracker = str(info.get("eye_tracker_name") or _kind(info) or "eye tracker")
    return RecordingDescription(
        name=_shown(f"{tracker} recording {info.get('name') or path.resolve().name}"),
        video=scene.video,
        frame_times=scene.times,
        gaze=tracked_gaze(path / GAZE_TABLE, points, scene.video, scene.times, tally),
        focal=_focal(path / CALIBRATION),
    )


def _by_frame(
    path: Path, numbers: NDArray[np.int64], times: NDArray[np.int64], start: int
) -> NDArray[np.int64]:
    """The time of each frame by its number in the video; 0 for one without."""
    shown = numbers >= 0  # -1: the tracker dropped that frame
    numbers, times = numbers[shown], times[shown]
    if numbers.size == 0 or numbers.max() > 2 * numbers.size + 1000:
        raise DeviceError(f"{path / FRAME_TABLE}: it does not number the frames of a video")
    by_frame = np.zeros(int(numbers.max()) + 1, np.int64)
    by_frame[numbers] = times + start
    return by_frame


def _info(file: Path) -> dict[str, object]:
    """What the recording says of itself; nothing where it says nothing that can be read."""
    try:
        info = read_said(file)
    except (OSError, ValueError):
        return {}
    return info if isinstance(info, dict) else {}


def _inside(value: object) -> object:
    """glassesTools writes what is no plain value as {"its type": value}."""
    return next(iter(value.values()), None) if isinstance(value, dict) else value


def _start(info: dict[str, object]) -> int:
    """When the recording began, Unix ns; a day after the epoch where that is not known."""
    seconds = _inside(info.get("start_time"))
    known = isinstance(seconds, int | float) and 0 < seconds < 2**33
    return int(seconds) * NANOSECONDS if known else 86_400 * NANOSECONDS  # type: ignore[arg-type]


def _kind(info: dict[str, object]) -> str:
    said = _inside(info.get("eye_tracker"))
    return said if isinstance(said, str) else ""


def _shown(text: str) -> str:
    """A recording's own words, on one harmless line."""
    line = "".join(sign if sign.isprintable() else " " for sign in text)
    return f"{line[:MOST_SIGNS]} (glassesTools)"


def _video(path: Path, info: dict[str, object]) -> Path:
    """The scene video: beside the tables, or where the recording was imported from."""
    name = info.get("scene_video_file")
    source = _inside(info.get("source_directory"))
    places = sorted(path.glob(f"{VIDEO}.*"))
    if isinstance(name, str) and name:
        places = [path / name, *places]
        if isinstance(source, str):
            places.append(path / source / name)
    for place in places:
        if place.is_file():
            return place
    raise DeviceError(
        f"{path}: the recording has no scene video ({VIDEO}.mp4): import it again with its video"
    )


def _focal(file: Path) -> float | None:
    """Focal length in pixels from OpenCV's XML: the first number of the camera matrix."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r"<cameraMatrix.*?<data>\s*([-+.\deE]+)", text, re.DOTALL)
    focal = float(found[1]) if found else 0.0
    return focal if focal > 0 else None
