"""Synthetic data sets in StreamGaze's layout, read back with independent means."""

import csv
import json

import av
import numpy as np
import pytest
from PIL import Image

from devices.recording.streamgaze import EPOCH, read_fixations
from devices.synthetic.__main__ import main
from devices.synthetic.asking import shares
from devices.synthetic.questions import ASKERS, GSM, GTA, NFI, OAA, OTP
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
        types = []
        for entry in entries(folder, task):
            (question,) = entry["questions"]
            wearer = wearer_of(entry)
            names = [thing.name for thing in wearer.scene.things]
            for point in question["test_info"]:
                moment = wearer.moment(float(seconds_of(point["realtime"])))
                there = [names[place] for place in moment.present]
                if task == GTA:
                    assert question["target_object"] in there
                    there = [] if moment.gaze is None else [names[moment.gaze]]
                assert point["type"] == int(question["target_object"] in there)
                types.append(point["type"])
        assert types.count(1) == types.count(0) > 0


def test_the_past_is_asked_about_where_the_steps_show_all_of_it(folder):
    asked = [entry for task in (GSM, NFI, OTP) for entry in entries(folder, task)]
    assert asked
    for entry in asked:
        stem, second = entry["video_path"].removesuffix(".mp4"), seconds_of(entry["response_time"])
        known = read_fixations(folder / "fixations" / f"{stem}_fixation_filtered.csv")
        spans = [((f.started_at - EPOCH) / 1e9, (f.ended_at - EPOCH) / 1e9) for f in known]
        steps = [*range(0, second, 2), second]
        shown = {span for span in spans for step in steps if span[0] <= step <= span[1]}
        begun = wearer_of(entry).dwells(0.0, second)
        assert len(shown) == len(begun) >= 3


def shown_tasks(folder):
    return {task: entries(folder, task) for task in ASKERS}


def asked(entries):
    return sum(len(entry["questions"][0].get("test_info", [1])) for entry in entries)


@pytest.mark.long
def test_questions_of_a_task_are_as_many_as_wanted_and_the_same_for_the_same_seed(tmp_path, capsys):
    options = ["--videos", "12", "--seconds", "16", "--seed", "11", "--frame-rate", "1"]
    for name in ("one", "two"):
        assert main(["--out", str(tmp_path / name), *options, "--questions", "30"]) == 0
    one, two = shown_tasks(tmp_path / "one"), shown_tasks(tmp_path / "two")
    assert one == two
    told = capsys.readouterr().out.splitlines()
    for task, own in one.items():
        assert asked(own) <= 30
        assert f"{task}: {asked(own)} questions" in " ".join(told)
    for task in (GTA, OAA, NFI, "present_object_attribute_recognition"):
        assert asked(one[task]) == 30
    letters = [e["questions"][0]["answer"] for e in one[NFI]]
    assert set(letters) == set("ABCD")


@pytest.mark.parametrize(
    ("available", "total", "wanted"),
    [
        ([5, 5, 5], 6, [2, 2, 2]),
        ([5, 5, 5], 7, [3, 2, 2]),
        ([0, 1, 9], 6, [0, 1, 5]),
        ([1, 2, 0], 10, [1, 2, 0]),
        ([], 3, []),
    ],
)
def test_questions_are_spread_as_evenly_as_there_are_occasions(available, total, wanted):
    assert shares(available, total) == wanted


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert main(["--out", str(blocked / "x"), "--videos", "1", "--seconds", "5"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
