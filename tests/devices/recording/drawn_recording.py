"""Small recordings drawn for tests, in every format, with what they hold written down."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

START = 1_728_546_108_163_313_161  # Unix ns: more than a float64 can hold
WIDTH, HEIGHT = 64, 48
TICK = Fraction(1, 90_000)
SCENE = "Neon Scene Camera v1 ps"
FIXATION_RECORD = np.dtype(
    [("kind", "<i4"), ("start", "<i8"), ("end", "<i8"), ("values", "<f4", (10,))]
)
BLINK_RECORD = np.dtype([("start", "<i8"), ("end", "<i8")])


@dataclass(frozen=True)
class DrawnRecording:
    """What was drawn: capture times in Unix ns, gaze in scene pixels, the video's parts."""

    path: Path
    videos: tuple[Path, ...]
    frame_times: NDArray[np.int64]
    gaze_times: NDArray[np.int64]
    gaze: NDArray[np.float32]


@dataclass(frozen=True)
class Span:
    """A fixation or blink: Unix ns; where a fixation begins, and its mean, in scene pixels."""

    start: int
    end: int
    first: tuple[float, float] = (0.0, 0.0)
    mean: tuple[float, float] = (0.0, 0.0)


def picture(index: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Frame `index`: a ramp that drifts and a bar that walks, so that no two are alike."""
    ramp = (np.arange(width) * 3 + index * 2) % 256
    pixels = np.repeat(np.tile(ramp, (height, 1))[:, :, None], 3, axis=2).astype(np.uint8)
    pixels[:, (index * 5) % width, 0] = 255
    pixels[(index * 3) % height, :, 1] = 0
    return pixels


def draw_video(
    path: Path,
    frames: int = 30,
    rate: int = 30,
    key_every: int = 10,
    b_frames: int = 0,
    codec: str = "libx264",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    codec_options: dict[str, str] | None = None,
    muxer_options: dict[str, str] | None = None,
    first_stamp: int = 0,
    title: str = "",
    shown: Sequence[int] | None = None,
) -> Path:
    """Encode frames 0.. of `picture`; `first_stamp` in frames; `shown`: ns, in place of a rate."""
    with av.open(str(path), "w", options=muxer_options or {}) as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=rate, options=codec_options or {})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        if shown is not None:
            stream.codec_context.time_base = TICK
        stream.codec_context.gop_size = key_every
        stream.codec_context.max_b_frames = b_frames
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24")
            frame.pts, frame.time_base = index + first_stamp, Fraction(1, rate)
            if shown is not None:
                frame.pts, frame.time_base = int(shown[index]) * 9 // 100_000, TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def copy_packets(source: Path, target: Path, first: int, last: int, zero: int) -> Path:
    """Copy packets `first` to `last` without encoding; packet `zero`'s time becomes 0."""
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(source)) as read, av.open(str(target), "w", options=options) as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        packets = [packet for packet in read.demux(video=0) if packet.size]
        base = packets[zero].pts
        for packet in packets[first:last]:
            packet.pts, packet.dts, packet.stream = packet.pts - base, packet.dts - base, stream
            written.mux(packet)
    return target


def decode_each(paths: Iterable[Path]) -> Iterator[NDArray[np.uint8]]:
    """Every frame of some files by plain PyAV, from the first packet to the last."""
    for path in paths:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")


def frame_times(count: int, start: int = START) -> NDArray[np.int64]:
    """Capture times of an unsteady 30 Hz camera."""
    jitter = np.arange(count) * 7_919 % 40_000
    return start + np.arange(count) * 33_333_333 + jitter


def gaze_track(start: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Times at 200 Hz from `start`, and points in scene pixels, some beyond the frame's edge."""
    times = start + np.arange(count) * 5_000_001
    angle = np.arange(count) * 0.1
    points = np.stack([32 + 36 * np.cos(angle), 24 + 20 * np.sin(angle)], axis=1)
    return times, points.astype(np.float32)


def draw_neon(
    folder: Path,
    parts: Sequence[int] = (30,),
    gaze: int = 200,
    gaze_start: int = START - 3_000_000,
    not_worn: Sequence[int] = (),
    fixations: Sequence[Span] = (),
    blinks: Sequence[Span] = (),
    info: Mapping[str, object] | None = None,
    scene: str = SCENE,
    video_options: Mapping[str, object] | None = None,
) -> DrawnRecording:
    """A recording in Neon's native format; `parts`: frames of each part of the scene video."""
    folder.mkdir(parents=True)
    times = frame_times(sum(parts))
    videos, first = [], 0
    for number, count in enumerate(parts, start=1):
        video = folder / f"{scene}{number}.mp4"
        videos.append(draw_video(video, count, **(video_options or {})))
        times[first : first + count].tofile(folder / f"{scene}{number}.time")
        first += count
    gaze_times, points = gaze_track(gaze_start, gaze)
    gaze_times.tofile(folder / "gaze ps1.time")
    points.tofile(folder / "gaze ps1.raw")
    worn = np.full(gaze, 255, "u1")
    worn[list(not_worn)] = 0
    worn.tofile(folder / "worn ps1.raw")
    if fixations:
        rows = [(1, s.start, s.end, (*s.first, 0, 0, *s.mean, 0, 0, 0, 0)) for s in fixations]
        rows.append((0, START, START + 1, (0,) * 10))  # a saccade
        _draw_events(folder, "fixations", np.array(rows, FIXATION_RECORD))
    if blinks:
        _draw_events(folder, "blinks", np.array([(s.start, s.end) for s in blinks], BLINK_RECORD))
    info = info or {"app_version": "2.9.31-prod", "gaze_offset": [0.0, 0.0]}
    (folder / "info.json").write_text(json.dumps(info))
    return DrawnRecording(folder, tuple(videos), times, gaze_times, points)


def _draw_events(folder: Path, name: str, records: NDArray[np.void]) -> None:
    records.tofile(folder / f"{name} ps1.raw")
    records["end"].tofile(folder / f"{name} ps1.time")


def draw_cloud(
    folder: Path,
    frames: int = 30,
    gaze: int = 200,
    gaze_start: int = START - 3_000_000,
    not_worn: Sequence[int] = (),
    fixations: Sequence[Span] = (),
    blinks: Sequence[Span] = (),
    video_options: Mapping[str, object] | None = None,
) -> DrawnRecording:
    """A recording as Pupil Cloud exports it, with the columns of a real export."""
    folder.mkdir(parents=True)
    video = draw_video(folder / "7f3c2a_0.0-1.0.mp4", frames, **(video_options or {}))
    times = frame_times(frames)
    ids, id_names = ("section", "recording"), ("section id", "recording id")
    write_table(
        folder / "world_timestamps.csv",
        (*id_names, "timestamp [ns]"),
        [(*ids, time) for time in times],
    )
    gaze_times, points = gaze_track(gaze_start, gaze)
    worn = ["" if index == 1 else int(index not in not_worn) for index in range(gaze)]
    pixels = ("gaze x [px]", "gaze y [px]")
    write_table(
        folder / "gaze.csv",
        (*id_names, "timestamp [ns]", *pixels, "worn", "fixation id", "blink id", "azimuth [deg]"),
        [
            (*ids, time, repr(float(x)), repr(float(y)), state, "", "", 0.0)
            for time, (x, y), state in zip(gaze_times, points, worn, strict=True)
        ],
    )
    span = ("start timestamp [ns]", "end timestamp [ns]", "duration [ms]")
    if fixations:
        write_table(
            folder / "fixations.csv",
            (*id_names, "fixation id", *span, "fixation x [px]", "fixation y [px]"),
            [(*ids, n, s.start, s.end, 0, *s.mean) for n, s in enumerate(fixations)],
        )
    if blinks:
        write_table(
            folder / "blinks.csv",
            (*id_names, "blink id", *span),
            [(*ids, n, s.start, s.end, 0) for n, s in enumerate(blinks)],
        )
    return DrawnRecording(folder, (video,), times, gaze_times, points)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """A CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def draw_fixations(path: Path, rows: Iterable[Sequence[float]]) -> Path:
    """A StreamGaze fixation file of (x, y, start s, end s)."""
    header = ("fixation_id", "center_x", "center_y", "start_time_seconds", "end_time_seconds")
    return write_table(path, header, [(number, *row) for number, row in enumerate(rows)])


def draw_streamgaze(folder: Path, rows: Iterable[Sequence[float]], frames: int = 48) -> Path:
    """A video at 24 Hz with its fixation file beside it; returns the video's path."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_fixations(folder / "clip_fixation_filtered.csv", rows)
    return draw_video(folder / "clip.mp4", frames, rate=24)


def packet_places(path: Path) -> list[tuple[int, int, int]]:
    """Of each packet in decoding order: its place in the file, its bytes, its frame's number."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    order = sorted(packet.pts for packet in packets)
    return [(packet.pos, packet.size, order.index(packet.pts)) for packet in packets]
