"""Synthetic data sets in StreamGaze's layout, read back with independent means."""

import csv
import json

import av
import numpy as np
import pytest
from PIL import Image

from devices.recording.streamgaze import read_fixations
from devices.synthetic.__main__ import main
from devices.synthetic.questions import ASKERS, GTA, OAA
from devices.synthetic.wearer import Wearer

SECONDS, SEED, VIDEOS = 16, 11, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic")
    arguments = ["--videos", str(VIDEOS), "--seconds", str(SECONDS), "--seed", str(SEED)]
    assert main(["--out", str(out), *arguments]) == 0
    return out


def seconds_of(stamp):
    minutes, seconds = stamp.split(":")
    return 60 * int(minutes) + int(seconds)


def entries(folder, task):
    return json.loads((folder / "qa" / f"{task}.json").read_text())


def wearer_of(entry):
    return Wearer((SEED, int(entry["video_path"].removesuffix(".mp4")[-5:])), float(SECONDS))


def test_the_layout_is_that_of_streamgaze(folder):
    videos = sorted((folder / "videos" / "original_video").glob("*.mp4"))
    assert len(videos) == VIDEOS
    for video in videos:
        assert (folder / "fixations" / f"{video.stem}_fixation_filtered.csv").is_file()
    assert {file.stem for file in (folder / "qa").glob("*.json")} == set(ASKERS)


def test_videos_are_h264_of_the_length_asked_for(folder):
    for video in (folder / "videos" / "original_video").glob("*.mp4"):
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            count = sum(1 for _ in container.decode(stream))
        assert count == SECONDS * 30


def test_compression_keeps_the_colours_of_things(folder):
    wearer = Wearer((SEED, 0), float(SECONDS))
    video = sorted((folder / "videos" / "original_video").glob("*.mp4"))[0]
    with av.open(str(video)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    from devices.synthetic.table import TablePicture

    drawn = TablePicture(wearer.scene, 336).frame(wearer.head.pose(0.0), 0.0, 0, 336, 336)
    small = [
        np.asarray(Image.fromarray(each).resize((42, 42), Image.Resampling.BOX), float)
        for each in (frame, drawn)
    ]
    assert np.abs(small[0] - small[1]).mean() < 6


def test_fixations_last_two_seconds_and_lie_where_the_wearer_looked(folder):
    for number in range(VIDEOS):
        name = f"synthetic_{SEED:04d}_{number:05d}_fixation_filtered.csv"
        path = folder / "fixations" / name
        assert len(read_fixations(path)) >= 3
        wearer = Wearer((SEED, number), float(SECONDS))
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                start, end = float(row["start_time_seconds"]), float(row["end_time_seconds"])
                assert end - start >= 2.0
                assert float(row["duration_seconds"]) == pytest.approx(end - start, abs=1e-5)
                dwell = wearer.eyes.dwell_at((start + end) / 2) or wearer.moment(SECONDS)
                moments = np.linspace(start, end, 200)
                spot = np.tile([[dwell.x], [dwell.y]], 200)
                x, y = wearer.head.seen(spot, moments).mean(axis=1)
                assert float(row["center_x"]) == pytest.approx(np.clip(x, 0, 1), abs=0.05)
                assert float(row["center_y"]) == pytest.approx(np.clip(y, 0, 1), abs=0.05)


def test_present_questions_are_right_about_a_fixation_that_lasts(folder):
    asked = entries(folder, "present_object_attribute_recognition")
    assert asked
    for entry in asked:
        (question,) = entry["questions"]
        wearer = wearer_of(entry)
        second = seconds_of(question["time_stamp"])
        for moment in (second - 0.25, second, second + 0.25):
            thing = wearer.scene.things[wearer.moment(moment).gaze]
            chosen = question["options"]["ABCD".index(question["answer"])]
            assert chosen[:3] == f"{question['answer']}. "
            assert chosen[3:] in (thing.colour, thing.kind)


def test_alerts_have_as_many_points_of_either_type_and_they_are_true(folder):
    for task in (GTA, OAA):
        for entry in entries(folder, task):
            (question,) = entry["questions"]
            wearer = wearer_of(entry)
            points = question["test_info"]
            assert [point["type"] for point in points].count(1) * 2 == len(points)
            for point in points:
                moment = wearer.moment(float(seconds_of(point["realtime"])))
                place = [thing.name for thing in wearer.scene.things].index(
                    question["target_object"]
                )
                expected = moment.gaze == place if task == GTA else place in moment.present
                assert point["type"] == int(expected)
    assert entries(folder, GTA)


def test_the_same_seed_writes_the_same_questions(folder, tmp_path):
    assert main(["--out", str(tmp_path), "--videos", "1", "--seconds", "16", "--seed", "11"]) == 0
    for task in ASKERS:
        first = [each for each in entries(folder, task) if each["video_path"].endswith("00000.mp4")]
        assert entries(tmp_path, task) == first


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert main(["--out", str(blocked / "x"), "--videos", "1", "--seconds", "5"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
