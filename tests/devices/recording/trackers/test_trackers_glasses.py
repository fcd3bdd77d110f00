"""glassesTools' own format, beside pandas; other makers' folders are sent there."""

import json

import numpy as np
import pandas as pd
import pytest
from drawn_recording import decode_each
from drawn_trackers import draw_glasses

from devices.device import DeviceError
from devices.recording.formats import describe
from devices.recording.video import VideoCursor

START = 1_728_546_108


def nanoseconds(milliseconds):
    return [START * 10**9 + round(float(ms) * 1e6) for ms in milliseconds]


TRACKERS = ["Tobii Glasses 2", "Tobii Glasses 3", "SMI ETG", "SeeTrue STONE", "VPS 19"]


@pytest.mark.parametrize("tracker", [*TRACKERS, "Meta Aria Gen 1"])
def test_a_recording_of_any_tracker_is_read_as_its_tables_have_it(tmp_path, tracker):
    folder = draw_glasses(tmp_path / "rec", tracker)
    gaze = pd.read_csv(folder / "gazeData.tsv", sep="\t")
    frames = pd.read_csv(folder / "frameTimestamps.tsv", sep="\t")
    frames = frames[frames["frame_idx"] >= 0].sort_values("frame_idx")
    read = describe(folder, strict=True)
    assert read.name == f"{tracker} recording subject 3 (glassesTools)"
    assert read.frame_times.tolist() == nanoseconds(frames["timestamp"])
    assert read.gaze.times.tolist() == nanoseconds(gaze["timestamp"])
    seen = gaze["gaze_pos_vid_x"].notna().to_numpy()
    assert read.gaze.worn.tolist() == seen.tolist() and not seen.all()
    assert read.gaze.x[seen].tolist() == (gaze["gaze_pos_vid_x"] / 64)[seen].tolist()
    assert read.gaze.y[seen].tolist() == (gaze["gaze_pos_vid_y"] / 48)[seen].tolist()
    shown = np.searchsorted(read.frame_times, read.gaze.times, side="right") - 1
    assert np.maximum(shown, 0).tolist() == gaze["frame_idx"].tolist()
    cursor = VideoCursor(read.video)
    for index, pixels in enumerate(decode_each([folder / "worldCamera.mp4"])):
        assert np.array_equal(cursor.read(index), pixels)
    assert read.focal == 92.0


def test_the_video_may_have_stayed_where_it_was_imported_from(tmp_path):
    folder = draw_glasses(tmp_path / "rec")
    (tmp_path / "source").mkdir()
    (folder / "worldCamera.mp4").rename(tmp_path / "source" / "scenevideo.mp4")
    info = json.loads((folder / "recording_info.json").read_text())
    info["scene_video_file"] = "scenevideo.mp4"
    info["source_directory"] = {"pathlib.Path": "../source"}
    (folder / "recording_info.json").write_text(json.dumps(info))
    assert describe(folder).video.files[0].path.name == "scenevideo.mp4"
    (tmp_path / "source" / "scenevideo.mp4").unlink()
    with pytest.raises(DeviceError, match="no scene video"):
        describe(folder)


def test_a_frame_without_a_row_is_left_out(tmp_path):
    folder = draw_glasses(tmp_path / "rec")
    table = folder / "frameTimestamps.tsv"
    lines = [line for line in table.read_text().splitlines() if not line.startswith("11\t")]
    table.write_text("\n".join(lines))
    read = describe(folder)
    decoded = list(decode_each([folder / "worldCamera.mp4"]))
    cursor = VideoCursor(read.video)
    kept = [n for n in range(30) if n != 11]
    assert all(np.array_equal(cursor.read(i), decoded[n]) for i, n in enumerate(kept))
    assert "1 of 30 frames left out" in read.notices[0]


def test_without_its_information_a_recording_still_plays(tmp_path):
    folder = draw_glasses(tmp_path / "rec")
    said = {"name": "a\nb\x1b[2J" + "c" * 999, "eye_tracker": 7, "start_time": "now"}
    (folder / "recording_info.json").write_text(json.dumps(said))
    name = describe(folder).name
    assert name.startswith("eye tracker recording a b [2Jccc") and len(name) < 140
    (folder / "recording_info.json").write_text("[]")
    read = describe(folder)
    assert read.name == "eye tracker recording rec (glassesTools)"
    assert np.diff(read.frame_times).min() > 0


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (["recording.g3"], "Tobii Glasses 3"),
        (["sysinfo.json", "segments/1/x"], "Tobii Glasses 2"),
        (["codec1.bin"], "SMI ETG"),
        (["EyeData_7.csv"], "SeeTrue STONE"),
        (["a.tsv", "a.mkv"], "VPS 19"),
        (["gaze.tsv", "metadata.json", "worldCamera.mp4"], "Aria"),
    ],
)
def test_what_another_maker_wrote_is_sent_through_glasses_tools(tmp_path, files, what):
    for file in files:
        path = tmp_path / "rec" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    with pytest.raises(DeviceError, match=f"{what}.*gazeqwen-edge.glasses.") as error:
        describe(tmp_path / "rec")
    assert "\n" not in str(error.value)
