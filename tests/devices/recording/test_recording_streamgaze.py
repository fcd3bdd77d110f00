"""A video with a StreamGaze fixation file: where the file is found, and what it says."""

import csv
from fractions import Fraction

import pytest
from drawn_recording import (
    draw_fixations,
    draw_streamgaze,
    draw_video,
    write_table,
)

from devices.device import DeviceError
from devices.recording.formats import describe
from devices.recording.playback import RecordingDevice
from devices.recording.streamgaze import EPOCH
from devices.samples import Fixation, SceneFrame

ROW = (0.25, 0.75, 0.5, 1.0)
AS_FIXATION = Fixation(
    EPOCH + 500_000_000,
    EPOCH + 500_000_000,
    0.25,
    0.75,
    EPOCH + 500_000_000,
    EPOCH + 1_000_000_000,
    "file",
    whole=True,
)


def test_a_fixation_is_delivered_whole_at_its_start(tmp_path):
    device = RecordingDevice(draw_streamgaze(tmp_path, [ROW]), fast=True)
    with device as info:
        assert (info.gaze_from, info.detects_fixations) == ("fixation file", False)
        assert info.gaze_rate is None and info.frame_rate == pytest.approx(24)
        device.clock.sleep_until(AS_FIXATION.started_at - 1)
        before = device.poll().samples
        device.clock.sleep_until(AS_FIXATION.started_at)
        at = device.poll().samples
    assert all(isinstance(sample, SceneFrame) for sample in before)
    assert [sample for sample in at if isinstance(sample, Fixation)] == [AS_FIXATION]


@pytest.mark.parametrize("rate", [24, 25, 30])
@pytest.mark.parametrize("first_stamp", [0, 5])
def test_a_frame_is_captured_at_its_time_in_the_video_counted_from_the_first(
    tmp_path, rate, first_stamp
):
    draw_fixations(tmp_path / "clip_fixation_filtered.csv", [ROW])
    video = draw_video(tmp_path / "clip.mp4", 40, rate, b_frames=2, first_stamp=first_stamp)
    exact = [EPOCH + round(Fraction(index * 10**9, rate)) for index in range(40)]
    assert describe(video).frame_times.tolist() == exact


def test_a_fixation_that_begins_at_a_frame_does_not_begin_after_it(tmp_path):
    rows = [(0.5, 0.5, index / 24, index / 24 + 0.01) for index in range(48)]
    recording = describe(draw_streamgaze(tmp_path, rows))
    starts = [fixation.started_at for fixation in recording.fixations]
    assert starts == recording.frame_times.tolist()


@pytest.mark.parametrize(
    "place",
    ["clip_fixation_filtered.csv", "clip/clip_fixation_filtered.csv"],
)
def test_the_file_is_looked_up_in_each_root(tmp_path, place):
    (tmp_path / "videos").mkdir()
    video = draw_video(tmp_path / "videos" / "clip.mp4", 30)
    (tmp_path / "empty").mkdir()
    draw_fixations(tmp_path / "root" / place, [ROW])
    found = describe(video, [tmp_path / "empty", tmp_path / "root"])
    assert found.fixations == (AS_FIXATION,)
    draw_fixations(tmp_path / "videos" / place, [(0.1, *ROW[1:])])
    assert describe(video).fixations[0].x == 0.1
    assert describe(video, tmp_path / "root" / place).fixations == (AS_FIXATION,)


def test_without_a_file_the_error_names_every_place(tmp_path):
    video = draw_video(tmp_path / "clip.mp4", 3)
    name = "clip_fixation_filtered.csv"
    with pytest.raises(DeviceError) as beside:
        describe(video)
    assert str(tmp_path / name) in str(beside.value)
    assert str(tmp_path / "clip" / name) in str(beside.value)
    with pytest.raises(DeviceError) as given:
        describe(video, [tmp_path / "missing.csv", tmp_path])
    assert str(tmp_path / "missing.csv") in str(given.value)
    assert str(tmp_path / name) in str(given.value)


@pytest.mark.parametrize(
    "names",
    [("start_time_seconds", "end_time_seconds"), ("start_time", "end_time")],
)
def test_columns_go_by_their_aliases_in_any_order(tmp_path, names):
    video = draw_video(tmp_path / "clip.mp4", 30)
    header = ("other", names[1], "center_y", names[0], "center_x")
    rows = [("text", 1.0, 0.75, 0.5, 0.25)]
    write_table(tmp_path / "clip_fixation_filtered.csv", header, rows)
    assert describe(video).fixations == (AS_FIXATION,)


def test_a_table_that_a_spreadsheet_saved_is_read_too(tmp_path):
    video = draw_streamgaze(tmp_path, [ROW])
    lines = ["center_x,center_y,start_time,end_time", "0.25,0.75,0.5,1.0", ""]
    (tmp_path / "clip_fixation_filtered.csv").write_text("\r\n".join(lines), "utf-8-sig")
    assert describe(video).fixations == (AS_FIXATION,)


def test_fixations_beyond_the_video_are_left_out_and_said_to_be(tmp_path):
    rows = [ROW, (0.5, 0.5, 3.0, 4.0), (0.5, 0.5, 5.0, 6.0)]
    device = RecordingDevice(draw_streamgaze(tmp_path, rows), fast=True)
    with device:
        device.clock.sleep_until(EPOCH + 10_000_000_000)
        delivery = device.poll()
        assert device.poll().notices == ()
    assert [s for s in delivery.samples if isinstance(s, Fixation)] == [AS_FIXATION]
    assert len(delivery.notices) == 1 and "2 of 3 fixations begin after" in delivery.notices[0]
    assert delivery.ended


def test_the_real_fixation_file(tmp_path, shared_data):
    file = shared_data / "streamgaze" / "OP03-R01-PastaSalad_fixation_filtered.csv"
    with file.open() as table:
        rows = list(csv.DictReader(table))
    end = float(rows[-1]["end_time_seconds"])
    size = (32, 32)
    video = draw_video(
        tmp_path / "OP03-R01-PastaSalad.mp4", int(end) + 2, 1, size=size, key_every=50
    )
    fixations = describe(video, [file.parent]).fixations
    assert len(fixations) == 35
    for fixation, row in zip(fixations, rows, strict=True):
        assert (fixation.x, fixation.y) == (float(row["center_x"]), float(row["center_y"]))
        assert fixation.started_at == EPOCH + round(float(row["start_time_seconds"]) * 1e9)
        assert fixation.ended_at == EPOCH + round(float(row["end_time_seconds"]) * 1e9)
        assert fixation.whole and fixation.source == "file"
        assert fixation.captured_at == fixation.started_at
