"""Small recordings of other trackers and programs, drawn as those write them."""

import json
from pathlib import Path

import msgpack
import numpy as np
from drawn_recording import (
    HEIGHT,
    START,
    WIDTH,
    draw_neon,
    draw_video,
    frame_times,
    gaze_track,
    write_table,
)

INVISIBLE_SCENE = "PI world v1 ps"
CORE_START = (1_728_546_108.25, 4711.5)  # on the system's clock, on Pupil's
PACKED = 13


def draw_invisible(folder, again=False, **options):
    """Invisible's native format; `again`: with the gaze that Pupil Cloud computes at 200 Hz."""
    info = {"app_version": "1.4.30-prod", "gaze_frequency": 66}
    drawn = draw_neon(folder, info=info, scene=INVISIBLE_SCENE, **options)
    if again:
        times, points = gaze_track(START - 1_000_000, 300)
        times.tofile(folder / "gaze_200hz.time")
        (points + 1).tofile(folder / "gaze_200hz.raw")
        worn = np.full(300, 255, "u1")
        worn[[20, 21]] = 0
        worn.tofile(folder / "worn_200hz.raw")
    return drawn


def core_times(times):
    """Unix ns as Pupil's clock has them, in seconds."""
    system, synced = CORE_START
    return (np.asarray(times) - round(system * 1e9)) / 1e9 + synced


def write_pldata(folder: Path, name: str, data):
    """As Pupil Capture: a topic and a packed datum, and the times beside."""
    packed = b"".join(
        msgpack.packb((datum.get("topic", name), msgpack.packb(datum, use_bin_type=True)))
        for datum in data
    )
    (folder / f"{name}.pldata").write_bytes(packed)
    np.save(folder / f"{name}_timestamps.npy", [datum["timestamp"] for datum in data])


def draw_core(
    folder: Path, frames: int = 30, gaze: int = 120, confidence=None, fixations=(), blinks=()
):
    """Pupil Capture's recording folder; returns times (Unix ns) and norm_pos, as meant."""
    folder.mkdir(parents=True)
    draw_video(folder / "world.mp4", frames)
    times = frame_times(frames)
    np.save(folder / "world_timestamps.npy", core_times(times))
    system, synced = CORE_START
    info = {
        "start_time_system_s": system,
        "start_time_synced_s": synced,
        "recording_software_name": "Pupil Capture",
        "recording_name": "2024_10_10",
    }
    (folder / "info.player.json").write_text(json.dumps(info))
    camera = {
        "version": 1,
        f"({WIDTH}, {HEIGHT})": {
            "camera_matrix": [[55.0, 0, 32], [0, 55.0, 24], [0, 0, 1]],
            "dist_coefs": [[0.0] * 8],
            "resolution": [WIDTH, HEIGHT],
        },
    }
    (folder / "world.intrinsics").write_bytes(msgpack.packb(camera))
    gaze_times, points = gaze_track(START - 2_000_000, gaze)
    places = points.astype(float) / (WIDTH, HEIGHT)
    sure = np.full(gaze, 0.95) if confidence is None else np.asarray(confidence)
    pupil = msgpack.ExtType(PACKED, msgpack.packb({"topic": "pupil.0.3d"}))
    write_pldata(
        folder,
        "gaze",
        [
            {
                "topic": "gaze.3d.01.",
                "norm_pos": [x, y],
                "confidence": c,
                "timestamp": t,
                "base_data": [pupil],
            }
            for t, (x, y), c in zip(core_times(gaze_times), places, sure, strict=True)
        ],
    )
    if fixations:
        write_pldata(folder, "fixations", fixations)
    if blinks:
        write_pldata(folder, "blinks", blinks)
    return times, gaze_times, places


def draw_core_export(folder: Path, gaze: int = 150):
    """What Pupil Player exports into a recording's folder."""
    export = folder / "exports" / "000"
    times, points = gaze_track(START + 1_000_000, gaze)
    places = points.astype(float) / (WIDTH, HEIGHT)
    rows = [
        (repr(float(t)), 0, 0.5 if n == 7 else 0.99, x, y, "4711.1-0")
        for n, (t, (x, y)) in enumerate(zip(core_times(times), places, strict=True))
    ]
    header = (
        "gaze_timestamp",
        "world_index",
        "confidence",
        "norm_pos_x",
        "norm_pos_y",
        "base_data",
    )
    write_table(export / "gaze_positions.csv", header, rows)
    begin = core_times(times)
    write_table(
        export / "fixations.csv",
        ("id", "start_timestamp", "duration", "start_frame_index", "norm_pos_x", "norm_pos_y"),
        [
            (1, repr(float(begin[10])), 150.5, 0, 0.25, 0.75),
            (2, repr(float(begin[60])), 200, 2, 0.5, 0.5),
        ],
    )
    write_table(
        export / "blinks.csv",
        ("id", "start_timestamp", "duration", "end_timestamp"),
        [(1, repr(float(begin[45])), 0.05, repr(float(begin[55])))],
    )
    return export, times, places


def draw_player_export(folder: Path, table: str = "gaze.csv"):
    """What Neon Player exports of the native recording in `folder`."""
    export = folder / "exports" / "2026-01-01_10-00-00"
    times, points = gaze_track(START + 2_000_000, 150)
    rows = [
        ("rec", t, repr(float(x)), repr(float(y)), 0.0, 0.0, "True" if n != 9 else "False", 1, "")
        for n, (t, (x, y)) in enumerate(zip(times, points, strict=True))
    ]
    ids = ("fixation id", "blink id")
    angles = ("azimuth [deg]", "elevation [deg]")
    header = ("recording id", "timestamp [ns]", "gaze x [px]", "gaze y [px]", *angles, "worn", *ids)
    write_table(export / table, header, rows)
    span = ("start timestamp [ns]", "end timestamp [ns]", "duration [ms]")
    write_table(
        export / "fixations.csv",
        ("recording id", "fixation id", *span, "fixation x [px]", "fixation y [px]"),
        [("rec", 1, times[20], times[60], 200, 16, 12)],
    )
    return export, times, points


def draw_glasses(folder: Path, tracker: str = "Tobii Glasses 3", frames: int = 30, gaze: int = 100):
    """A recording as glassesTools stores it: its own tables, times in ms from the start."""
    folder.mkdir(parents=True)
    draw_video(folder / "worldCamera.mp4", frames)
    start = 1_728_546_108
    frame_ms = 12.5 + np.arange(frames) * 33.333333 + np.arange(frames) % 3 * 0.01
    rows = [f"{n}\t{at:.8f}" for n, at in enumerate(frame_ms)]
    rows.insert(4, "-1\t120.00000000")  # a frame that the tracker dropped
    (folder / "frameTimestamps.tsv").write_text("\n".join(["frame_idx\ttimestamp", *rows, ""]))
    gaze_ms = 5.0 + np.arange(gaze) * 10.0003
    angle = np.arange(gaze) * 0.1
    places = np.stack([32 + 30 * np.cos(angle), 24 + 20 * np.sin(angle)], axis=1)
    places[[8, 9]] = np.nan
    of_frame = np.clip(np.searchsorted(frame_ms, gaze_ms, side="right") - 1, 0, None)
    rows = [
        f"{at:.8f}\t{n}\t{x:.8f}\t{y:.8f}\tnan"
        for at, n, (x, y) in zip(gaze_ms, of_frame, places, strict=True)
    ]
    header = "timestamp\tframe_idx\tgaze_pos_vid_x\tgaze_pos_vid_y\tgaze_pos_3d_x"
    (folder / "gazeData.tsv").write_text("\n".join([header, *rows, ""]))
    info = {
        "name": "subject 3",
        "source_directory": {"pathlib.Path": "/elsewhere/source"},
        "start_time": {"__Timestamp__": start},
        "duration": 1000.0,
        "eye_tracker": tracker,
        "eye_tracker_name": "",
        "scene_video_file": "worldCamera.mp4",
    }
    (folder / "recording_info.json").write_text(json.dumps(info))
    (folder / "calibration.xml").write_text(
        '<?xml version="1.0"?>\n<opencv_storage>\n<cameraMatrix type_id="opencv-matrix">\n'
        "  <rows>3</rows>\n  <cols>3</cols>\n  <dt>d</dt>\n  <data>\n"
        "    9.2e+01 0. 3.2e+01 0. 9.1e+01 2.4e+01 0. 0. 1.</data></cameraMatrix>\n"
        "</opencv_storage>\n"
    )
    return folder
