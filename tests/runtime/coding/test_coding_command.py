"""Recordings as they come, lists as they are typed, and runs that are cut off."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from coded_wearer import coded, table, things_of
from drawn_recording import START, Span, draw_cloud, draw_neon, draw_streamgaze

from runtime.coding.pictures import PIXELS, crop
from runtime.coding.work import FixationRow, glances, trouble_of

SPANS = tuple(
    Span(START + n * 200_000_000, START + n * 200_000_000 + 150_000_000, (20, 20), (20 + n, 24))
    for n in range(4)
)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_coding_cut_off_anywhere_goes_on_and_ends_as_one_that_was_not(
    wearer, coding_folder, tmp_path
):
    out = tmp_path / "out"
    shutil.copytree(coding_folder, out)
    codes = out / "wearer" / "codes.jsonl"
    whole = codes.read_bytes()
    for cut in (0, len(whole) - 3):
        codes.write_bytes(whole[:cut])
        assert coded(wearer.folder, out, "--things", things_of(wearer), "--bids") == 0
        assert files_of(out) == files_of(coding_folder)


def test_another_question_in_the_same_folder_is_refused(wearer, coding_folder, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(coding_folder, out)
    assert coded(wearer.folder, out, "--things", "cup") == 1
    assert "another things" in capsys.readouterr().err
    assert files_of(out) == files_of(coding_folder)


@pytest.mark.parametrize(
    "things", [["--things", "cup"], [], ["--things", "cup,key", "--gaze", "both"]]
)
def test_every_kind_of_recording_is_coded(tmp_path, things):
    neon = draw_neon(tmp_path / "neon", fixations=SPANS)
    cloud = draw_cloud(tmp_path / "cloud", fixations=SPANS)
    video = draw_streamgaze(tmp_path / "video", [(0.5, 0.5, 0.1, 1.5), (0.2, 0.5, 1.6, 9.0)])
    out = tmp_path / "out"
    for number, path in enumerate((neon.path, cloud.path, video)):
        assert coded(path, out / str(number), *things) == 0
    for number, name in enumerate(("neon", "cloud")):
        rows = table(out / str(number) / name / "fixations_coded.csv")
        assert [int(row["start timestamp [ns]"]) for row in rows] == [s.start for s in SPANS]
        assert [row["coding note"] for row in rows] == ["", "", "", ""]
    rows = table(out / "2" / "clip" / "fixations_coded.csv")
    assert [row["center_x"] for row in rows] == ["0.5", "0.2"]
    assert [row["coding note"] for row in rows] == ["", "outside the video"]


def test_a_recording_without_a_fixation_gets_tables_without_rows(tmp_path, capsys):
    cloud = draw_cloud(tmp_path / "cloud", not_worn=range(200))
    assert coded(cloud.path, tmp_path / "out", "--things", "cup,key", "--bids") == 0
    assert "no fixation in it" in capsys.readouterr().out
    assert table(tmp_path / "out" / "aoi_fixations.csv") == []
    assert "No fixation" in (tmp_path / "out" / "cloud" / "report.html").read_text()


def test_200_things_with_names_of_every_kind(wearer, tmp_path):
    things = ['salt, "fine"', "чашка", "コップ", "<b>cup</b>", "{0}", "50 %"]
    things += [f"thing {number}" for number in range(194)]
    listed = ",".join('"' + thing.replace('"', '""') + '"' for thing in things)
    cloud = draw_cloud(tmp_path / "cloud", fixations=SPANS)
    out = tmp_path / "out"
    assert coded(cloud.path, out, "--things", listed, "--unsure-below", "0", "--check", "no") == 0
    rows = table(out / "cloud" / "fixations_coded.csv")
    assert all(row["thing"] in things for row in rows)
    labels = [row["aoi label"] for row in table(out / "aoi_visits.csv")]
    assert labels == things
    assert "<b>cup" not in (out / "cloud" / "report.html").read_text()
    made = json.loads((out / "cloud" / "coding.json").read_text())
    assert made["things"] == things


def test_rows_that_can_not_be_read_keep_their_line(tmp_path):
    cloud = draw_cloud(tmp_path / "cloud", fixations=SPANS)
    file = cloud.path / "fixations.csv"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(str(SPANS[1].start).encode(), b"soon")
    lines[3] = lines[3].replace(b"section", b'"sec\r\ntion, ""1"""', 1)
    file.write_bytes(b"".join(lines))
    assert coded(cloud.path, tmp_path / "out", "--things", "cup,key") == 0
    ours = tmp_path / "out" / "cloud" / "fixations_coded.csv"
    rows = table(ours)
    assert [row["start timestamp [ns]"] for row in rows][1] == "soon"
    assert rows[1]["crop"] == "" and rows[2]["crop"] == "crops/000002.jpg"
    for line in lines:
        assert line.rstrip(b"\r\n") in ours.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "no such recording"),
        (["--things", ""], "the list is empty"),
        (["--things", "cup", "--check", "no"], "nothing to choose"),
        (["--things", "cup,key", "--question", " "], "the question is empty"),
        (["--fixations", "device"], "no fixations of its own"),
    ],
)
def test_what_can_not_be_coded_is_one_line(tmp_path, capsys, arguments, said):
    cloud = draw_cloud(tmp_path / "cloud", frames=10)
    path = Path("nowhere") if arguments == ["nowhere"] else cloud.path
    assert coded(path, tmp_path / "out", *(each for each in arguments if each != "nowhere")) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_fixations_share_frames_only_within_what_is_asked():
    times = np.arange(60) * 100
    rows = [FixationRow(n, "", at, at, 0.5, 0.5) for n, at in enumerate((1000, 1040, 1120, 2000))]
    shared = list(glances(rows, times, 1000, 50))
    assert [[row.number for row in each.rows] for each in shared] == [[0, 1], [2], [3]]
    assert [(each.older, each.newer) for each in shared] == [(0, 10), (1, 11), (10, 20)]
    alone = list(glances(rows, times, 1000, 0))
    assert [len(each.rows) for each in alone] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("middle", "x", "trouble"),
    [
        (-1, 0.5, "outside the video"),
        (2_000_000_000, 0.5, "outside the video"),
        (900_000_000, 1.5, "centre outside the frame"),
        (900_000_000, 0.5, None),
    ],
)
def test_a_fixation_that_can_not_be_seen_says_why(middle, x, trouble):
    times = np.array([0, 500_000_000, 1_000_000_000])
    assert trouble_of(FixationRow(0, "", middle, middle, x, 0.5), times) == trouble


def test_a_crop_has_gaze_in_its_middle_and_grey_beyond_the_frame():
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:10, :20] = 255
    picture = np.asarray(crop(pixels, 0.0, 0.0))
    assert picture.shape == (PIXELS, PIXELS, 3)
    assert (picture[: PIXELS // 2 - 14] == 128).all()
    assert picture[PIXELS // 2 + 24, PIXELS // 2 + 24].min() > 250
    assert np.asarray(crop(pixels, 5.0, 5.0)).min() == 128


def test_two_recordings_of_one_name_have_folders_of_their_own(tmp_path):
    from runtime.coding.__main__ import main

    paths = [draw_cloud(tmp_path / part / "rec", fixations=SPANS).path for part in "ab"]
    out = tmp_path / "out"
    assert main([*map(str, paths), "--out", str(out), "--things", "cup,key"]) == 0
    assert (out / "rec" / "report.html").is_file() and (out / "rec (2)" / "report.html").is_file()
