"""What is wrong with a recording is said in one line that names the file and the fault."""

import re
import shutil

import av
import numpy as np
import pytest
from drawn_recording import (
    SCENE,
    START,
    Span,
    draw_cloud,
    draw_fixations,
    draw_neon,
    draw_streamgaze,
    draw_video,
    write_table,
)

from devices.device import DeviceError
from devices.recording.playback import RecordingDevice

ROW = (0.25, 0.75, 0.5, 1.0)
HOUR = 3_600_000_000_000


def refusal(path, fixations=None):
    """The one line with which a recording is refused."""
    with pytest.raises(DeviceError) as error:
        RecordingDevice(path, fast=True, fixations=fixations).connect()
    line = str(error.value)
    assert "\n" not in line
    return line


def test_nothing_at_the_path(tmp_path):
    assert "there is no such recording" in refusal(tmp_path / "absent")


def test_an_empty_folder(tmp_path):
    assert "the folder is empty" in refusal(tmp_path)


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    line = refusal(tmp_path)
    assert "not a recording of a known format" in line and "Pupil Cloud" in line


def test_a_path_that_can_not_be(tmp_path):
    line = refusal(tmp_path / ("a" * 300))
    assert re.search("can't be read: File name too long|there is no such recording", line)


def test_a_folder_in_the_place_of_the_fixation_file(tmp_path):
    video = draw_video(tmp_path / "clip.mp4", 3)
    (tmp_path / "clip_fixation_filtered.csv").mkdir()
    assert "no fixation file" in refusal(video)


def test_an_empty_video(tmp_path):
    video = draw_streamgaze(tmp_path, [ROW])
    video.write_bytes(b"")
    assert "clip.mp4: the video file is empty" in refusal(video)


@pytest.mark.parametrize("content", [b"hello, I am a text", bytes(5000), b"\x00\x00\x00\x08ftyp"])
def test_a_file_that_is_no_video(tmp_path, content):
    video = draw_streamgaze(tmp_path, [ROW])
    video.write_bytes(content)
    assert "clip.mp4: not a video that can be decoded" in refusal(video)


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.9])
def test_an_mp4_that_was_cut_off_before_its_index(tmp_path, kept):
    video = draw_streamgaze(tmp_path, [ROW])
    data = video.read_bytes()
    video.write_bytes(data[: int(len(data) * kept)])
    assert re.search(r"clip.mp4: (the video is truncated, \d+ bytes|not a video)", refusal(video))


def test_an_mp4_without_a_video_stream(tmp_path):
    draw_fixations(tmp_path / "clip_fixation_filtered.csv", [ROW])
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert "clip.mp4: it holds no video stream" in refusal(tmp_path / "clip.mp4")


def test_a_video_of_which_nothing_decodes(tmp_path):
    video = draw_streamgaze(tmp_path, [ROW])
    with av.open(str(video)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(video.read_bytes())
    for place, size in packets:
        data[place : place + size] = bytes(size)
    video.write_bytes(data)
    assert "clip.mp4: not a video that can be decoded" in refusal(video)


def test_a_video_without_a_fixation_file(tmp_path):
    video = draw_video(tmp_path / "clip.mp4", 3)
    line = refusal(video)
    assert "no gaze for this video" in line
    assert str(tmp_path / "clip_fixation_filtered.csv") in line


HEADER = ("fixation_id", "center_x", "center_y", "start_time_seconds", "end_time_seconds")
GOOD = (0, *ROW)


@pytest.mark.parametrize("missing", HEADER[1:])
def test_a_fixation_file_that_lacks_a_column(tmp_path, missing):
    video = draw_streamgaze(tmp_path, [ROW])
    header = tuple(name for name in HEADER if name != missing)
    write_table(tmp_path / "clip_fixation_filtered.csv", header, [(0, 0.5, 0.5, 0.5)])
    assert f"clip_fixation_filtered.csv: it has no column {missing}" in refusal(video)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([GOOD, (1, "nan", 0.5, 1, 2)], "row 3: center_x is 'nan', not a number"),
        ([GOOD, (1, 0.5, "inf", 1, 2)], "row 3: center_y is 'inf', not a number"),
        ([GOOD, (1, "left", 0.5, 1, 2)], "row 3: center_x is 'left', not a number"),
        ([(0, 0.5, 0.5, "", 2)], "row 2: start_time_seconds is missing"),
        ([(0, 0.5, 0.5, 1)], "row 2: end_time_seconds is missing"),
        ([GOOD, (1, 1.01, 0.5, 1, 2)], r"fixation 2: its centre \(1.01, 0.5\) lies outside"),
        ([GOOD, (1, 0.5, -0.1, 1, 2)], r"fixation 2: its centre \(0.5, -0.1\) lies outside"),
        ([(0, 320, 240, 1, 2)], r"fixation 1: its centre \(320, 240\) lies outside"),
        ([(0, 0.5, 0.5, 2, 1)], "fixation 1: it lasts from 2 s to 1 s"),
        ([(0, 0.5, 0.5, -1, 1)], "fixation 1: it lasts from -1 s to 1 s"),
        ([(0, 0.5, 0.5, 1, 2), GOOD], "fixation 2: it begins before the one above"),
        ([], "the fixation file has no rows"),
    ],
)
def test_a_fixation_file_with_a_row_that_can_not_be(tmp_path, rows, line):
    video = draw_streamgaze(tmp_path, [ROW])
    write_table(tmp_path / "clip_fixation_filtered.csv", HEADER, rows)
    assert re.search(r"clip_fixation_filtered\.csv.*" + line, refusal(video))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01", b'"' + b"a" * 200_000])
def test_a_fixation_file_that_is_no_table(tmp_path, content):
    video = draw_streamgaze(tmp_path, [ROW])
    (tmp_path / "clip_fixation_filtered.csv").write_bytes(content)
    assert re.search("the table is empty|can't be read as a CSV table", refusal(video))


def test_fixations_that_all_begin_after_the_video(tmp_path):
    video = draw_streamgaze(tmp_path, [(0.5, 0.5, 60, 62)])
    assert "all its fixations begin after the end of clip.mp4" in refusal(video)


@pytest.mark.parametrize("missing", ["gaze.csv", "world_timestamps.csv", "7f3c2a_0.0-1.0.mp4"])
def test_an_export_that_lacks_a_file(tmp_path, missing):
    folder = draw_cloud(tmp_path / "export").path
    (folder / missing).unlink()
    expected = {"gaze.csv": "has no gaze", "7f3c2a_0.0-1.0.mp4": "gaze without a scene video"}
    assert expected.get(missing, "world_timestamps.csv: there is no such file") in refusal(folder)


def test_an_export_of_two_videos(tmp_path):
    folder = draw_cloud(tmp_path / "export").path
    shutil.copy(folder / "7f3c2a_0.0-1.0.mp4", folder / "other.mp4")
    assert "2 .mp4 files where one is expected" in refusal(folder)


@pytest.mark.parametrize(
    ("file", "missing"),
    [
        ("world_timestamps.csv", "timestamp [ns]"),
        ("gaze.csv", "timestamp [ns]"),
        ("gaze.csv", "gaze x [px]"),
        ("gaze.csv", "gaze y [px]"),
        ("fixations.csv", "start timestamp [ns]"),
        ("fixations.csv", "fixation y [px]"),
        ("blinks.csv", "end timestamp [ns]"),
    ],
)
def test_an_export_with_a_table_that_lacks_a_column(tmp_path, file, missing):
    span = Span(START, START + 1)
    folder = draw_cloud(tmp_path / "export", fixations=(span,), blinks=(span,)).path
    table = (folder / file).read_text().replace(missing, "other", 1)
    (folder / file).write_text(table)
    assert f"{file}: it has no column {missing}" in refusal(folder)


def draw(kind, folder, **options):
    return (draw_neon if kind == "neon" else draw_cloud)(folder, **options).path


KINDS = pytest.mark.parametrize("kind", ["neon", "cloud"])


@KINDS
@pytest.mark.parametrize("away", [-HOUR, HOUR])
def test_gaze_of_another_time(tmp_path, kind, away):
    folder = draw(kind, tmp_path / "rec", gaze_start=START + away)
    line = refusal(folder)
    assert "gaze and video do not overlap in time" in line and f"{away / 1e9:.1f} s" in line


@KINDS
def test_a_recording_without_gaze(tmp_path, kind):
    folder = draw(kind, tmp_path / "rec", gaze=0)
    assert "the recording has no gaze" in refusal(folder)


@KINDS
def test_frames_out_of_order(tmp_path, kind):
    folder = draw(kind, tmp_path / "rec")
    times = START - np.arange(30) * 33_000_000
    if kind == "neon":
        times.tofile(folder / f"{SCENE}1.time")
    else:
        write_table(folder / "world_timestamps.csv", ("timestamp [ns]",), [(t,) for t in times])
    line = refusal(folder)
    assert "29 of 30 frames left out" in line and "more than half of its frames" in line


@pytest.mark.parametrize("missing", ["gaze ps1.raw", f"{SCENE}1.mp4", f"{SCENE}1.time"])
def test_a_neon_recording_that_lacks_a_file(tmp_path, missing):
    folder = draw_neon(tmp_path / "rec").path
    (folder / missing).unlink()
    expected = {"gaze ps1.raw": "has no gaze", f"{SCENE}1.mp4": "has no scene video"}
    line = refusal(folder)
    assert expected.get(missing, "the time stamps of the scene video are missing") in line
