"""A recording as Pupil Labs' phones write it: Neon's and Invisible's native format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
from devices.recording.tally import Tally
from devices.recording.trackers.said import read_said
from devices.recording.trackers.scene import Scene, scene_of
from devices.recording.trackers.sensor_files import (
    Stream,
    part_files,
    read_events,
    read_stream,
    read_times,
    read_values,
)
from devices.recording.video import VideoTrack
from devices.samples import Blink, Fixation

POINT = np.dtype([("x", "<f4"), ("y", "<f4")])
WORN = np.dtype([("worn", "u1")])
SPAN = [("start_timestamp_ns", "<i8"), ("end_timestamp_ns", "<i8")]
PLACES = ("start_gaze", "end_gaze", "mean_gaze")
FIXATION = np.dtype(
    [
        ("event_type", "<i4"),
        *SPAN,
        *((f"{place}_{axis}", "<f4") for place in PLACES for axis in "xy"),
        *((name, "<f4") for name in ("amplitude_pixels", "amplitude_angle_deg")),
        *((name, "<f4") for name in ("mean_velocity", "max_velocity")),
    ]
)
BLINK, BARE_BLINK = np.dtype([("event_type", "<i4"), *SPAN]), np.dtype(SPAN)
IS_FIXATION, IS_BLINK = 1, 4
FIRST_WITH_OFFSET = (2, 9, 31)  # this version of the app and later ones add it to the centres, too
CALIBRATED_FOCAL = 7, "<f8"  # where calibration.bin has it: after the version and the serial number


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of glasses: its name, and what its scene camera's files are called."""

    name: str
    scene: str


FAMILIES = (
    Family("Neon", "Neon Scene Camera v1"),
    Family("Invisible", "PI world v1"),
)


def native_family(folder: Path) -> Family | None:
    """Whose native recording a folder holds; None for none."""
    names = [file.name for file in folder.iterdir()]
    for family in FAMILIES:
        if any(name.startswith(f"{family.scene} ps") for name in names):
            return family
    streams = re.compile(r"(gaze|worn|imu|eye_state|fixations|blinks) ps\d+\.(raw|time)")
    return FAMILIES[0] if any(streams.fullmatch(name) for name in names) else None


def read_native(path: Path, family: Family, tally: Tally) -> RecordingDescription:
    """Read a recording folder; frames and gaze keep the times they were recorded with.

    Raises DeviceError for a recording without gaze or video, or with gaze of another time.
    """
    scene = native_scene(path, family, tally)
    gaze = _gaze(path, tally)
    if gaze is None:
        raise DeviceError(f"{path}: the recording has no gaze: nothing says what was looked at")
    return RecordingDescription(
        name=f"{family.name} recording {path.resolve().name}",
        video=scene.video,
        frame_times=scene.times,
        gaze=tracked_gaze(path, gaze, scene.video, scene.times, tally),
        fixations=_fixations(path, scene.video, tally),
        blinks=_blinks(path, tally),
        focal=native_focal(path),
    )


def native_scene(path: Path, family: Family, tally: Tally) -> Scene:
    """The scene video of a native recording and its frames' times. Raises DeviceError."""
    files = part_files(path, family.scene, "mp4")
    if not files:
        renamed = sorted(path.glob(f"{family.scene} ps*.mp4"))
        hint = f": rename {renamed[0].name}, if that is it" if renamed else ""
        raise DeviceError(
            f"{path}: the recording has no scene video ({family.scene} ps1.mp4){hint}"
        )
    times = []
    for file in files:
        beside = file.with_suffix(".time")
        if not beside.is_file():
            raise DeviceError(f"{beside}: the time stamps of the scene video are missing")
        times.append(read_times(beside))
    return scene_of(path, files, times, tally)


def native_focal(path: Path) -> float | None:
    """Focal length of the scene camera in pixels, from the calibration that lies beside."""
    file = path / "calibration.bin"
    place, kind = CALIBRATED_FOCAL
    data = file.read_bytes() if file.is_file() else b""
    if len(data) < place + 8 or data[0] not in (0, 1):
        return None
    focal = float(np.frombuffer(data, kind, 1, place)[0])
    return focal if 10 < focal < 1e5 else None


def gaze_offset(path: Path) -> NDArray[np.float64]:
    """What has to be added to the centres of a recording's fixations, in pixels (x, y).

    The wearer's offset is part of all gaze on file, and of where fixations begin and end; of their
    means only from version 2.9.31 of the app on. (pupil-labs-neon-recording subtracts it in y.)
    """
    none = np.zeros(2)
    file = path / "info.json"
    try:
        info = read_said(file) if file.is_file() else {}
        version = [int(number) for number in re.findall(r"\d+", info["app_version"])[:3]]
        offset = np.array(info["gaze_offset"], np.float64)
    except (ValueError, TypeError, KeyError, OverflowError):
        return none
    is_usable = offset.shape == (2,) and bool(np.isfinite(offset).all())
    return offset if is_usable and () < tuple(version) < FIRST_WITH_OFFSET else none


def _gaze(path: Path, tally: Tally) -> Points | None:
    """Gaze as it was computed again at 200 Hz, where that was done; else as the phone wrote it."""
    again, its_times = path / "gaze_200hz.raw", path / "gaze_200hz.time"
    if again.is_file() and its_times.is_file():
        times, values = read_times(its_times), read_values(again, POINT)
        both = min(times.size, values.size)
        tally.expect(GAZE, max(times.size, values.size))
        cause = f"{again.name} and {its_times.name} are not of one length"
        tally.leave_out(GAZE, cause, max(times.size, values.size) - both)
        stream: Stream | None = Stream(times[:both], values[:both])
    else:
        stream = read_stream(path, "gaze", POINT, GAZE, tally)
    if stream is None or stream.times.size == 0:
        return None
    places = np.stack([stream.values["x"], stream.values["y"]], axis=1)
    return Points(stream.times, places, _worn(path, stream.times))


def _worn(path: Path, gaze_times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the glasses were worn at each gaze sample: the newest that is known by then.

    They are taken to be worn where nothing says otherwise. Their file has no times of its own but
    those of the gaze beside it.
    """
    pairs = [(path / "worn_200hz.raw", path / "gaze_200hz.time")]
    if not all(file.is_file() for file in pairs[0]):
        files = part_files(path, "worn", "raw")
        pairs = [(file, path / file.name.replace("worn ", "gaze ", 1)) for file in files]
        pairs = [(values, times.with_suffix(".time")) for values, times in pairs]
    known: list[tuple[NDArray[np.int64], NDArray[np.bool_]]] = []
    for values, beside in pairs:
        if beside.is_file():
            worn, times = read_values(values, WORN)["worn"] > 0, read_times(beside)
            both = min(worn.size, times.size)
            known.append((times[:both], worn[:both]))
    times = np.concatenate([np.zeros(0, np.int64), *(times for times, _ in known)])
    worn = np.concatenate([np.zeros(0, bool), *(worn for _, worn in known)])
    if times.size == 0:
        return np.ones(gaze_times.size, bool)
    order = np.argsort(times, kind="stable")
    newest = np.searchsorted(times[order], gaze_times, side="right") - 1
    return worn[order][np.maximum(newest, 0)]


def _fixations(path: Path, video: VideoTrack, tally: Tally) -> tuple[Fixation, ...]:
    noun = "fixations"
    events = read_events(path, "fixations", FIXATION, noun, tally)
    found = events[events["event_type"] == IS_FIXATION]
    tally.expect(noun, found.size - events.size)  # the others are saccades
    with np.errstate(invalid="ignore"):  # of a NaN that signals, too, nothing more is made
        first, mean = (
            np.stack([found[f"{place}_x"], found[f"{place}_y"]], axis=1).astype(np.float64)
            for place in ("start_gaze", "mean_gaze")
        )
    starts, ends = found["start_timestamp_ns"], found["end_timestamp_ns"]
    spans = whole_spans(noun, starts, ends, tally, first, mean)
    return tracked_fixations(spans, first, mean + gaze_offset(path), video)


def _blinks(path: Path, tally: Tally) -> tuple[Blink, ...]:
    files = part_files(path, "blinks", "raw")
    first = files[0].read_bytes()[:4] if files else b""
    # Phones write the type first; pupil-labs-neon-recording takes it for part of the time.
    is_typed = first == IS_BLINK.to_bytes(4, "little")
    events = read_events(path, "blinks", BLINK if is_typed else BARE_BLINK, "blinks", tally)
    spans = whole_spans("blinks", events["start_timestamp_ns"], events["end_timestamp_ns"], tally)
    return tracked_blinks(spans)
