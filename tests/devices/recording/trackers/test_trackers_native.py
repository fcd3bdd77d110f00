"""What Pupil Labs' phones write, and Neon Player's exports of it, beside independent readers."""

import numpy as np
import pandas as pd
import pytest
from drawn_recording import START, Span, decode_each, draw_cloud, draw_neon
from drawn_trackers import INVISIBLE_SCENE, draw_invisible, draw_player_export

from devices.device import DeviceError
from devices.recording.formats import describe
from devices.recording.playback import RecordingDevice
from devices.recording.video import VideoCursor
from devices.samples import Blink, Fixation, GazeSample, SceneFrame


def played(path):
    """Everything that a device delivers of a recording."""
    device = RecordingDevice(path, fast=True)
    with device as info:
        device.clock.sleep_until(info.ends_at + 10**10)
        return info, device.poll().samples


def check_frames(read, times, video):
    """Frame by frame: the capture time of each, and the picture that plain PyAV decodes."""
    assert read.frame_times.tolist() == list(times)
    cursor = VideoCursor(read.video)
    for index, pixels in enumerate(decode_each([video])):
        assert np.array_equal(cursor.read(index), pixels)


def test_invisible_as_the_phone_wrote_it(tmp_path):
    span = Span(START + 50_000_000, START + 250_000_000, (8, 12), (16, 12))
    drawn = draw_invisible(tmp_path / "rec", not_worn=(4,), fixations=(span,))
    times = np.fromfile(drawn.path / "gaze ps1.time", "<i8")
    raw = np.fromfile(drawn.path / "gaze ps1.raw", "<f4").reshape(-1, 2).astype(float)
    video = drawn.path / f"{INVISIBLE_SCENE}1.mp4"
    read = describe(drawn.path, strict=True)
    assert read.name == "Invisible recording rec"
    check_frames(read, np.fromfile(video.with_suffix(".time"), "<i8"), video)
    info, samples = played(drawn.path)
    gaze = [sample for sample in samples if isinstance(sample, GazeSample)]
    assert [sample.captured_at for sample in gaze] == times.tolist()
    assert [(s.x, s.y) for s in gaze] == [(x / 64, y / 48) for x, y in raw]
    assert [n for n, sample in enumerate(gaze) if not sample.worn] == [4]
    assert info.detects_fixations and sum(isinstance(s, SceneFrame) for s in samples) == 30


def test_invisible_with_the_gaze_that_cloud_adds(tmp_path):
    folder = draw_invisible(tmp_path / "rec", again=True).path
    raw = np.fromfile(folder / "gaze_200hz.raw", "<f4").reshape(-1, 2).astype(float)
    read = describe(folder, strict=True)
    assert read.gaze.times.tolist() == np.fromfile(folder / "gaze_200hz.time", "<i8").tolist()
    assert read.gaze.x.tolist() == (raw[:, 0] / 64).tolist()
    assert read.gaze.y.tolist() == (raw[:, 1] / 48).tolist()
    assert np.flatnonzero(~read.gaze.worn).tolist() == [20, 21]


def test_added_gaze_that_is_not_whole_is_counted(tmp_path):
    folder = draw_invisible(tmp_path / "rec", again=True).path
    raw = folder / "gaze_200hz.raw"
    raw.write_bytes(raw.read_bytes()[:-17])
    read = describe(folder)
    assert read.gaze.times.size == 297 and "3 of 300 gaze samples left out" in read.notices[0]


def test_a_real_neon_recording_beside_the_makers_own_library(shared_data):
    from pupil_labs import neon_recording

    folder = shared_data / "neon-recording"
    theirs, ours = neon_recording.open(folder), describe(folder, strict=True)
    assert ours.gaze.times.tolist() == np.asarray(theirs.gaze.time).tolist()
    points = np.asarray(theirs.gaze.point).astype(float)
    assert np.array_equal(ours.gaze.x * 1600, points[:, 0] / 1600 * 1600)
    assert np.array_equal(ours.gaze.y * 1200, points[:, 1] / 1200 * 1200)
    assert ours.gaze.worn.tolist() == (np.asarray(theirs.worn.worn) > 0).tolist()
    assert ours.frame_times.tolist() == np.asarray(theirs.scene.time).tolist()
    matrix = theirs.calibration.scene_camera_matrix
    assert ours.focal == matrix[0][0] == pytest.approx(890, abs=20)


def test_drawn_events_beside_the_makers_own_library(tmp_path):
    from pupil_labs import neon_recording

    spans = [Span(START + n * 10**8, START + n * 10**8 + 7 * 10**7, (n, 2), (n, 3)) for n in (1, 3)]
    blink = Span(START + 9, START + 99)
    folder = draw_neon(tmp_path / "rec", fixations=spans, blinks=(blink,)).path
    theirs, ours = neon_recording.open(folder), describe(folder, strict=True)
    closed = [each for each in ours.fixations if each.ended_at is not None]
    assert [each.started_at for each in closed] == theirs.fixations.start_time.tolist()
    assert [each.ended_at for each in closed] == theirs.fixations.stop_time.tolist()
    means = np.asarray(theirs.fixations.mean_gaze_point).tolist()
    assert [[each.x * 64, each.y * 48] for each in closed] == means
    assert ours.blinks == (Blink(START + 99, START + 99, START + 9, START + 99),)


@pytest.mark.parametrize("table", ["gaze.csv", "gaze_positions.csv"])
def test_an_export_of_neon_player_takes_the_video_of_its_recording(tmp_path, table):
    drawn = draw_neon(tmp_path / "rec")
    export, *_ = draw_player_export(drawn.path, table)
    frame = pd.read_csv(export / table)
    read = describe(export, strict=True)
    assert read.gaze.times.tolist() == frame["timestamp [ns]"].tolist()
    assert read.gaze.x.tolist() == (frame["gaze x [px]"] / 64).tolist()
    assert read.gaze.y.tolist() == (frame["gaze y [px]"] / 48).tolist()
    assert read.gaze.worn.tolist() == frame["worn"].tolist()
    check_frames(read, drawn.frame_times, drawn.videos[0])
    told = pd.read_csv(export / "fixations.csv").iloc[0]
    start, end = int(told["start timestamp [ns]"]), int(told["end timestamp [ns]"])
    assert read.fixations[1] == Fixation(end, end, 0.25, 0.25, start, end, "device")


def test_an_export_away_from_its_recording_says_what_it_is(tmp_path):
    drawn = draw_neon(tmp_path / "rec")
    export, *_ = draw_player_export(drawn.path)
    alone = export.rename(tmp_path / "alone")
    with pytest.raises(DeviceError, match="leave an export of Neon Player in its recording's"):
        describe(alone)


def test_an_export_of_cloud_beside_pandas(tmp_path):
    folder = draw_cloud(tmp_path / "rec", not_worn=(3,)).path
    frame, read = pd.read_csv(folder / "gaze.csv"), describe(folder, strict=True)
    assert read.gaze.times.tolist() == frame["timestamp [ns]"].tolist()
    assert read.gaze.x.tolist() == (frame["gaze x [px]"] / 64).tolist()
    assert read.gaze.worn.tolist() == (frame["worn"].fillna(1) > 0).tolist()
    stamps = pd.read_csv(folder / "world_timestamps.csv")["timestamp [ns]"]
    check_frames(read, stamps.tolist(), next(folder.glob("*.mp4")))
