"""A recording of Pupil Core, as Pupil Capture writes it or as Pupil Player exports it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.device import DeviceError
from devices.recording.description import (
    GAZE,
    Points,
    RecordingDescription,
    tracked_blinks,
    tracked_fixations,
    tracked_gaze,
    whole_spans,
)
from devices.recording.tables import Column
from devices.recording.tally import Tally
from devices.recording.trackers.cloud import counted_rows
from devices.recording.trackers.pldata import Datum, read_data
from devices.recording.trackers.said import read_said
from devices.recording.trackers.scene import Scene, scene_of
from devices.recording.video import VideoTrack
from devices.samples import Blink, Fixation

LEAST_CONFIDENCE = 0.6
"""Below, no pupil was found well enough for gaze: the limit that Pupil Capture has."""

FRAME_TIMES = "world_timestamps.npy"
VIDEOS = ("world.mp4", "world.mkv", "world.avi", "world.mjpeg")  # by the version of Capture
INFO, OLD_INFO = "info.player.json", "info.csv"
GAZE_DATA, FIXATION_DATA, BLINK_DATA = "gaze.pldata", "fixations.pldata", "blinks.pldata"
OLD_DATA = "pupil_data"
GAZE_TABLE, FIXATION_TABLE, BLINK_TABLE = "gaze_positions.csv", "fixations.csv", "blinks.csv"
MOST_SECONDS = 2.0**32
MOST_OFFSET = 2**62  # ns: with it, MOST_SECONDS still have room in 64 bits
HIGHEST = 4  # folders from an export up to its recording
SECONDS = NANOSECONDS
MILLISECONDS = NANOSECONDS // 1000

GAZE_TIME = Column(("gaze_timestamp", "timestamp"), whole=True, scale=SECONDS)
X, Y = Column(("norm_pos_x",), hole=True), Column(("norm_pos_y",), hole=True)
CONFIDENCE = Column(("confidence",), blank=1.0)
START = Column(("start_timestamp",), whole=True, scale=SECONDS)
END = Column(("end_timestamp",), whole=True, scale=SECONDS)
DURATION = Column(("duration",), whole=True, scale=MILLISECONDS)


@dataclass(frozen=True, slots=True)
class PupilClock:
    """Pupil's clock counts seconds from any moment; `offset` (ns) leads from it to Unix time."""

    offset: int

    def unix(self, seconds: Iterable[float]) -> NDArray[np.int64]:
        """Unix ns of times on Pupil's clock; 0 for what is no time."""
        values = np.fromiter(seconds, np.float64)
        usable = np.isfinite(values) & (np.abs(values) < MOST_SECONDS)
        whole = np.round(np.where(usable, values, 0.0) * NANOSECONDS).astype(np.int64)
        return np.where(usable, whole + self.offset, 0)


def is_core(path: Path) -> bool:
    """Whether a folder looks like a recording that Pupil Capture made or Pupil Player opened."""
    return (path / FRAME_TIMES).is_file() or (path / GAZE_DATA).is_file()


def is_core_export(path: Path) -> bool:
    """Whether a folder looks like what Pupil Player exports of a recording."""
    table = path / GAZE_TABLE
    if not table.is_file():
        return False
    with table.open(encoding="utf-8", errors="replace") as file:
        return "norm_pos_x" in file.readline()


def read_core(path: Path, tally: Tally) -> RecordingDescription:
    """Read a recording's folder. Raises DeviceError for what is missing or does not fit."""
    if not (path / GAZE_DATA).is_file():
        if (path / OLD_DATA).is_file():
            raise DeviceError(
                f"{path}: an old version of Pupil Capture recorded it ({OLD_DATA}): open it once "
                "in Pupil Player, which brings it up to date"
            )
        raise DeviceError(f"{path}: the recording has no gaze ({GAZE_DATA} is missing)")
    clock, scene = _clock(path), _scene(path, tally)
    size = scene.video.width, scene.video.height
    data = read_data(path / GAZE_DATA, GAZE, tally)
    points = _points(
        clock.unix(_number(datum, "timestamp") for datum in data),
        np.array([_position(datum) for datum in data], np.float64).reshape(-1, 2),
        np.array([_number(datum, "confidence") for datum in data], np.float64),
        size,
    )
    return RecordingDescription(
        name=f"{_maker(path)} recording {path.resolve().name}",
        video=scene.video,
        frame_times=scene.times,
        gaze=tracked_gaze(path / GAZE_DATA, points, scene.video, scene.times, tally),
        fixations=_fixations(path, clock, scene.video, tally),
        blinks=_blinks(path, clock, tally),
        focal=_focal(path / "world.intrinsics"),
    )


def read_core_export(path: Path, tally: Tally) -> RecordingDescription:
    """Read the tables of an export, with the scene video of the recording that it lies in.

    The video that is exported beside them shows gaze drawn into it. Raises DeviceError.
    """
    recording = next(
        (folder for folder in path.resolve().parents[:HIGHEST] if is_core(folder)), None
    )
    if recording is None:
        raise DeviceError(
            f"{path}: an export of Pupil Player whose recording is not above it: leave it in the "
            "recording's folder (exports/...), where the scene video and its times are"
        )
    clock, scene = _clock(recording), _scene(recording, tally)
    size = scene.video.width, scene.video.height
    file = path / GAZE_TABLE
    times, x, y, sure = counted_rows(file, GAZE, tally, GAZE_TIME, X, Y, CONFIDENCE).columns
    points = _points(times + clock.offset, np.stack([x, y], axis=1), sure, size)
    fixations: tuple[Fixation, ...] = ()
    if (path / FIXATION_TABLE).is_file():
        columns = START, DURATION, X, Y
        rows = counted_rows(path / FIXATION_TABLE, "fixations", tally, *columns)
        starts, durations, x, y = rows.columns
        starts = starts + clock.offset
        mean = _pixels(np.stack([x, y], axis=1), size)
        spans = whole_spans("fixations", starts, starts + durations, tally, mean)
        fixations = tracked_fixations(spans, mean, mean, scene.video)
    blinks: tuple[Blink, ...] = ()
    if (path / BLINK_TABLE).is_file():
        starts, ends = counted_rows(path / BLINK_TABLE, "blinks", tally, START, END).columns
        starts, ends = starts + clock.offset, ends + clock.offset
        blinks = tracked_blinks(whole_spans("blinks", starts, ends, tally))
    return RecordingDescription(
        name=f"Pupil Player export {path.resolve().name} of {recording.name}",
        video=scene.video,
        frame_times=scene.times,
        gaze=tracked_gaze(file, points, scene.video, scene.times, tally),
        fixations=fixations,
        blinks=blinks,
        focal=_focal(recording / "world.intrinsics"),
    )


def _maker(path: Path) -> str:
    """Pupil Player turns Invisible's recordings into such ones, too."""
    return "Invisible (Pupil Player)" if (path / "info.invisible.json").is_file() else "Pupil Core"


def _scene(path: Path, tally: Tally) -> Scene:
    video = next((path / name for name in VIDEOS if (path / name).is_file()), None)
    if video is None:
        raise DeviceError(f"{path}: the recording has no scene video ({VIDEOS[0]})")
    file = path / FRAME_TIMES
    try:
        seconds = np.load(file, allow_pickle=False).astype(np.float64)
    except Exception as error:  # numpy has no list of what a damaged header raises
        raise DeviceError(
            f"{file}: the time stamps of the scene video are missing or damaged"
        ) from error
    return scene_of(path, [video], [_clock(path).unix(seconds.ravel())], tally)


def _clock(path: Path) -> PupilClock:
    """From when the recording began on both clocks. Raises DeviceError where that is not said."""
    file = path / INFO if (path / INFO).is_file() else path / OLD_INFO
    try:
        if file.name == INFO:
            said = read_said(file)
            system, synced = said["start_time_system_s"], said["start_time_synced_s"]
        else:
            with file.open(newline="", encoding="utf-8") as table:
                said = dict(row[:2] for row in csv.reader(table) if len(row) > 1)
            system, synced = said["Start Time (System)"], said["Start Time (Synced)"]
        # Exactly: a float has no room for nanoseconds since 1970.
        offset = round((Fraction(system) - Fraction(synced)) * NANOSECONDS)
        if abs(offset) > MOST_OFFSET:
            raise ValueError(f"{offset} ns")
        return PupilClock(offset)
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise DeviceError(
            f"{file}: it does not say when the recording began: copy the recording again"
        ) from error


def _points(
    times: NDArray[np.int64],
    positions: NDArray[np.float64],
    confidence: NDArray[np.float64],
    size: tuple[int, int],
) -> Points:
    sure = np.where(np.isfinite(confidence), confidence, 0.0)
    return Points(times, _pixels(positions, size), sure >= LEAST_CONFIDENCE, sure)


def _pixels(positions: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Core counts from the bottom left, in fractions of the frame."""
    with np.errstate(over="ignore", invalid="ignore"):  # what is none, or becomes none, stays so
        return np.stack([positions[:, 0], 1.0 - positions[:, 1]], axis=1) * size


def _fixations(
    path: Path, clock: PupilClock, video: VideoTrack, tally: Tally
) -> tuple[Fixation, ...]:
    """Those found while recording, else those that Pupil Player found afterwards.

    Capture says a fixation again and again while it grows, under one id: the last word holds.
    """
    places = path / FIXATION_DATA, path / "offline_data" / FIXATION_DATA
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return ()
    data = read_data(file, "fixations", tally)
    grown: dict[object, Datum] = {}
    first: dict[object, Datum] = {}
    for number, datum in enumerate(data):
        said = datum.get("id")
        key = said if isinstance(said, int | str) else ("without", number)
        grown[key] = datum
        first.setdefault(key, datum)
    tally.expect("fixations", len(grown) - len(data))
    last = list(grown.values())
    starts, ends = _span(last, clock)
    _, found = _span(list(first.values()), clock)
    positions = np.array([_position(datum) for datum in last], np.float64).reshape(-1, 2)
    mean = _pixels(positions, (video.width, video.height))
    spans = whole_spans("fixations", starts, ends, tally, mean)
    return tracked_fixations(spans, mean, mean, video, found)


def _span(data: Sequence[Datum], clock: PupilClock) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """When each fixation began and ended, as it was said, Unix ns."""
    starts = clock.unix(_number(datum, "timestamp") for datum in data)
    durations = np.array([_number(datum, "duration") for datum in data], np.float64)
    usable = np.abs(durations) < MOST_SECONDS
    lasting = np.where(usable, durations, -1.0) * MILLISECONDS
    return starts, starts + np.round(lasting).astype(np.int64)


def _blinks(path: Path, clock: PupilClock, tally: Tally) -> tuple[Blink, ...]:
    """Each from its onset to the next offset."""
    file = path / BLINK_DATA
    if not file.is_file():
        return ()
    noun = "words of a blink"
    starts: list[float] = []
    ends: list[float] = []
    onset = None
    for datum in read_data(file, noun, tally):
        kind, at = datum.get("type"), _number(datum, "timestamp")
        if kind == "onset":
            onset = at if onset is None else onset
        elif kind == "offset" and onset is not None:
            starts.append(onset)
            ends.append(at)
            onset = None
    return tracked_blinks(whole_spans(noun, clock.unix(starts), clock.unix(ends), tally))


def _number(datum: Datum, key: str) -> float:
    value = datum.get(key)
    return float(value) if isinstance(value, int | float) else float("nan")


def _position(datum: Datum) -> tuple[float, float]:
    place = datum.get("norm_pos")
    if isinstance(place, Sequence) and len(place) == 2:
        x, y = place
        if isinstance(x, int | float) and isinstance(y, int | float):
            return float(x), float(y)
    return float("nan"), float("nan")


def _focal(file: Path) -> float | None:
    """Focal length of the scene camera in pixels, where Capture knew its intrinsics."""
    try:
        from devices.messagepack.packed import unpacked

        said = unpacked(file.read_bytes(), strict_map_key=False)
        (camera,) = (said[key] for key in said if str(key).startswith("("))
        focal = float(camera["camera_matrix"][0][0])
    except (ImportError, OSError, ValueError, TypeError, KeyError, IndexError, OverflowError):
        return None
    return focal if focal > 0 else None
