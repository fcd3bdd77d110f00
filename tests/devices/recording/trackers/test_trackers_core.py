"""Pupil Core: Capture's recordings and Player's exports, beside msgpack, numpy and pandas."""

import struct

import msgpack
import numpy as np
import pandas as pd
import pytest
from drawn_recording import decode_each, draw_neon
from drawn_trackers import CORE_START, core_times, draw_core, draw_core_export, write_pldata
from hostile_input import peak

from devices.device import DeviceError
from devices.recording.formats import describe
from devices.recording.playback import RecordingDevice
from devices.recording.tally import Tally
from devices.recording.trackers.pldata import read_data
from devices.recording.video import VideoCursor
from devices.samples import Fixation, GazeSample


def unix(seconds):
    """Unix ns of Pupil's clock, by exact arithmetic of its own."""
    from fractions import Fraction

    system, synced = (Fraction(value) for value in CORE_START)
    return [round((Fraction(float(at)) - synced + system) * 10**9) for at in seconds]


def unpacked(path):
    """A data file, read with msgpack alone."""
    with path.open("rb") as file:
        return [msgpack.unpackb(datum) for _, datum in msgpack.Unpacker(file, use_list=False)]


def exactly(table):
    """Its numbers as Python reads them: to the nearest float."""
    frame = pd.read_csv(table, dtype=str)
    return frame.apply(lambda column: column.map(float) if column.name != "base_data" else column)


def test_a_recording_is_read_as_its_files_have_it(tmp_path):
    confidence = np.full(120, 0.9)
    confidence[[3, 4, 5]] = [0.6, 0.59, 0.0]
    draw_core(tmp_path / "rec", confidence=confidence)
    folder = tmp_path / "rec"
    read = describe(folder, strict=True)
    data = unpacked(folder / "gaze.pldata")
    assert np.abs(read.gaze.times - unix(d["timestamp"] for d in data)).max() <= 1
    assert read.gaze.x == pytest.approx([d["norm_pos"][0] for d in data], abs=1e-12)
    assert read.gaze.y == pytest.approx([1 - d["norm_pos"][1] for d in data], abs=1e-12)
    assert np.flatnonzero(~read.gaze.worn).tolist() == [4, 5]
    assert read.gaze.confidence.tolist() == confidence.tolist()
    stamps = np.load(folder / "world_timestamps.npy")
    assert np.abs(read.frame_times - unix(stamps)).max() <= 1
    cursor = VideoCursor(read.video)
    for index, pixels in enumerate(decode_each([folder / "world.mp4"])):
        assert np.array_equal(cursor.read(index), pixels)
    assert read.focal == 55.0 and read.name == "Pupil Core recording rec"


def test_gaze_says_how_sure_it_is(tmp_path):
    draw_core(tmp_path / "rec")
    device = RecordingDevice(tmp_path / "rec", fast=True)
    with device as info:
        device.clock.sleep_until(info.ends_at)
        gaze = [s for s in device.poll().samples if isinstance(s, GazeSample)]
    assert {sample.confidence for sample in gaze} == {0.95} and len(gaze) == 120


def test_a_fixation_that_grew_is_one_and_known_when_it_was_first_said(tmp_path):
    _, gaze_times, _ = draw_core(tmp_path / "plain")
    start = float(core_times([gaze_times[20]])[0])
    said = {"topic": "fixations", "timestamp": start, "norm_pos": [0.4, 0.5], "id": 7}
    grown = [
        {**said, "duration": ms, "norm_pos": [x, 0.75]}
        for ms, x in ((80, 0.2), (90, 0.21), (200, 0.25))
    ]
    other = {**said, "timestamp": start + 0.3, "duration": 100, "id": 8}
    blinks = [
        {"topic": "blinks", "type": kind, "timestamp": start + after, "confidence": 1.0}
        for kind, after in (("offset", 0.01), ("onset", 0.22), ("onset", 0.23), ("offset", 0.28))
    ]
    draw_core(tmp_path / "rec", fixations=[*grown, other], blinks=blinks)
    read = describe(tmp_path / "rec", strict=True)
    (at,) = unix([start])
    onset, closed, *_ = read.fixations
    assert (onset.started_at, onset.ended_at) == (pytest.approx(at, abs=1), None)
    assert onset.captured_at - onset.started_at == 80_000_000
    assert closed.ended_at - closed.started_at == 200_000_000
    assert (closed.x, closed.y) == pytest.approx((0.25, 0.25))
    assert len(read.fixations) == 4
    (blink,) = read.blinks
    assert [blink.started_at, blink.ended_at] == pytest.approx(
        unix([start + 0.22, start + 0.28]), abs=1
    )


def test_an_export_of_player_takes_the_video_of_its_recording(tmp_path):
    folder = tmp_path / "rec"
    draw_core(folder)
    export, *_ = draw_core_export(folder)
    frame = exactly(export / "gaze_positions.csv")
    read = describe(export, strict=True)
    assert np.abs(read.gaze.times - unix(frame["gaze_timestamp"])).max() <= 1
    assert read.gaze.x == pytest.approx(frame["norm_pos_x"].tolist(), abs=1e-12)
    assert read.gaze.y == pytest.approx((1 - frame["norm_pos_y"]).tolist(), abs=1e-12)
    assert read.gaze.worn.tolist() == (frame["confidence"] >= 0.6).tolist()
    told = exactly(export / "fixations.csv")
    closed = [each for each in read.fixations if each.ended_at is not None]
    assert [f.started_at for f in closed] == pytest.approx(unix(told["start_timestamp"]), abs=1)
    assert [f.ended_at - f.started_at for f in closed] == [150_500_000, 200_000_000]
    assert [(f.x, f.y) for f in closed] == [(0.25, 0.25), (0.5, 0.5)]
    blink = exactly(export / "blinks.csv").iloc[0]
    assert [read.blinks[0].started_at] == pytest.approx(unix([blink["start_timestamp"]]), abs=1)
    assert read.video.files[0].path == folder / "world.mp4"
    assert isinstance(read.fixations[0], Fixation)


def test_a_data_file_that_was_cut_off_is_read_up_to_there(tmp_path):
    draw_core(tmp_path / "rec")
    file = tmp_path / "rec" / "gaze.pldata"
    file.write_bytes(file.read_bytes()[:-5])
    read = describe(tmp_path / "rec")
    assert read.gaze.times.size == 119
    assert "1 of 120 gaze samples left out (cut off at the end of gaze.pldata)" in read.notices[0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bits", [0x7FEAAAAAAAAAAAAA, 0x7FF0000000000001], ids=["large", "signals"])
def test_a_place_beyond_all_numbers_is_no_gaze(tmp_path, bits):
    """One that is finite and not in pixels, a NaN that signals: nothing reaches the terminal."""
    (place,) = struct.unpack("<d", struct.pack("<Q", bits))
    draw_core(tmp_path / "rec", gaze=12)
    data = unpacked(tmp_path / "rec" / "gaze.pldata")
    data[3]["norm_pos"] = [0.5, place]
    write_pldata(tmp_path / "rec", "gaze", data)
    fixation = {"timestamp": data[5]["timestamp"], "duration": 100.0, "norm_pos": [place, 0.5]}
    write_pldata(tmp_path / "rec", "fixations", [{**fixation, "id": 1}])
    read = describe(tmp_path / "rec")
    assert np.flatnonzero(~read.gaze.worn).tolist() == [3]
    assert read.fixations == ()


def test_data_of_another_form_are_no_traceback(tmp_path):
    draw_core(tmp_path / "rec")
    file = tmp_path / "rec" / "gaze.pldata"
    broken = [{"timestamp": "now"}, {"norm_pos": [1]}, [1, 2], "gaze"]
    odd = b"".join(msgpack.packb(("gaze", msgpack.packb(datum))) for datum in broken)
    file.write_bytes(odd + msgpack.packb(3) + file.read_bytes() + b"\xc1")
    read = describe(tmp_path / "rec")
    assert read.gaze.times.size == 120
    lost = sum(loss.count for loss in read.losses if loss.treatment == "left out")
    assert lost == 6 and {loss.total for loss in read.losses} == {126}


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ("world.mp4", "has no scene video"),
        ("world_timestamps.npy", "time stamps of the scene video are missing"),
        ("info.player.json", "does not say when the recording began"),
        ("gaze.pldata", "has no gaze"),
    ],
)
def test_what_is_missing_is_said(tmp_path, missing, line):
    draw_core(tmp_path / "rec")
    (tmp_path / "rec" / missing).unlink()
    with pytest.raises(DeviceError, match=line):
        describe(tmp_path / "rec")


def test_records_that_claim_to_be_long_take_no_room(tmp_path):
    write_pldata(tmp_path, "gaze", [{"timestamp": 1.0}])
    file = tmp_path / "gaze.pldata"
    file.write_bytes(file.read_bytes() + b"\xdc\x40\x00" * 9000)
    tally = Tally(file)

    def read(_):
        return len(read_data(file, "gaze", tally)) == 1

    assert read(b"")
    assert peak(read, b"") < 1 << 18


def test_a_recording_of_an_old_capture_says_what_to_do(tmp_path):
    draw_core(tmp_path / "rec")
    (tmp_path / "rec" / "gaze.pldata").rename(tmp_path / "rec" / "pupil_data")
    with pytest.raises(DeviceError, match="open it once in Pupil Player"):
        describe(tmp_path / "rec")


def test_an_export_without_its_recording_says_what_it_is(tmp_path):
    draw_core(tmp_path / "rec")
    export, *_ = draw_core_export(tmp_path / "rec")
    alone = export.rename(tmp_path / "alone")
    with pytest.raises(DeviceError, match="an export of Pupil Player whose recording is not above"):
        describe(alone)


def test_a_neon_recording_is_not_taken_for_one(tmp_path):
    assert describe(draw_neon(tmp_path / "rec").path).name.startswith("Neon")
