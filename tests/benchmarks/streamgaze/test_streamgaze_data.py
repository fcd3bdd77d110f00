"""Data sets in StreamGaze's format: what is read, what is tolerated, what is told."""

import json
import shutil

import pytest
from drawn_streamgaze import alert, choice, draw_set, entry, write_task

from benchmarks.streamgaze.__main__ import main
from benchmarks.streamgaze.data.entries import read_entries, seconds_of
from benchmarks.streamgaze.data.tasks import TASKS, Window, task_named, window

SCENE = "past_scene_recall"
EASY = "present_object_identification_easy"
GTA = "proactive_gaze_triggered_alert"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("04:36", 276.0),
        ("00:00", 0.0),
        ("1:02:03", 3723.0),
        ("01:02:03", 3723.0),
        ("45", 45.0),
        ("12.5", 12.5),
        (" 03:10 ", 190.0),
        (276, 276.0),
        (7.5, 7.5),
        ("[03:36 - 04:36]", None),
        ("4m36", None),
        ("-1:00", None),
        ("", None),
        (None, None),
        (-3, None),
        (float("nan"), None),
        (True, None),
    ],
)
def test_times(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.short)
def test_windows(task):
    assert task_named(task.name) is task_named(task.short) is task
    last_minute = task.short in ("FAP", "OAR", "OI-E", "OI-H")
    assert window(task, 276.0) == Window(216.0 if last_minute else 0.0, 276.0)
    assert window(task, 20.0) == Window(0.0, 20.0)


def questions(task, *entries):
    return list(read_entries(task_named(task), entries))


def test_multiple_choice_is_read():
    (question,) = questions(EASY, entry("folder/of/someone/clip.mp4", [choice(276, "c")]))
    assert question.key.video == "clip.mp4"
    assert (question.key.time, question.key.number) == ("04:36", 0)
    assert question.expected == "C"
    assert question.window == Window(216.0, 276.0)
    assert question.problem is None
    asked = question.asked()
    assert asked.text == "What is looked at?"
    assert asked.options[2] == "C. jar"


def test_each_test_point_of_an_alert_is_a_question():
    points = questions(GTA, entry("clip.mp4", [alert([(122, 0), (142, 1)])]))
    assert [point.expected for point in points] == ["NO", "YES"]
    assert [point.window for point in points] == [Window(0.0, 122.0), Window(0.0, 142.0)]
    assert [point.key.time for point in points] == ["02:02", "02:22"]
    asked = points[0].asked()
    assert asked.text.endswith(" Based on the video so far, should the alert be triggered?")
    assert asked.options == ("Yes", "No")


def test_video_may_be_named_by_either_field():
    content = {"video": "clip.mp4", "questions": [choice(5)]}
    assert questions(SCENE, content)[0].key.video == "clip.mp4"


def test_the_same_text_twice_is_two_questions():
    read = questions(
        SCENE, entry("a.mp4", [choice(5), choice(5), choice(6)]), entry("b.mp4", [choice(5)])
    )
    assert len({question.key for question in read}) == 4
    assert [question.key.number for question in read] == [0, 1, 0, 0]


def without(fields, *names):
    return {name: value for name, value in fields.items() if name not in names}


BROKEN = [
    (SCENE, entry("a.mp4", [choice(5) | {"time_stamp": "soon"}]), "unreadable time", "'soon'"),
    (SCENE, entry("a.mp4", [without(choice(5), "time_stamp")]), "unreadable time", "missing"),
    (SCENE, entry("a.mp4", [choice(5) | {"options": []}]), "empty options", "[]"),
    (SCENE, entry("a.mp4", [choice(5) | {"options": ["A. cup", " "]}]), "empty options", "cup"),
    (SCENE, entry("a.mp4", [without(choice(5), "options")]), "empty options", "None"),
    (SCENE, entry("a.mp4", [choice(5) | {"options": ["x"] * 9}]), "empty options", "9 options"),
    (SCENE, entry("a.mp4", [choice(5, "")]), "no right answer", "''"),
    (SCENE, entry("a.mp4", [choice(5, "E")]), "no right answer", "'E'"),
    (SCENE, entry("a.mp4", [choice(5, text=" ")]), "no question", "empty"),
    (SCENE, entry("", [choice(5)]), "no video named", "video_path"),
    (SCENE, entry("a.mp4", ["what?"]), "malformed entry", "what?"),
    (SCENE, {"video_path": "a.mp4"}, "malformed entry", "no questions"),
    (SCENE, 7, "malformed entry", "no questions"),
    (GTA, entry("a.mp4", [alert([(5, 2)])]), "no right answer", "2"),
    (GTA, entry("a.mp4", [alert([(5, None)])]), "no right answer", "None"),
    (GTA, entry("a.mp4", [alert([]) | {"test_info": 3}]), "malformed entry", "3"),
    (GTA, entry("a.mp4", [alert([]) | {"test_info": [{"type": 1}]}]), "unreadable time", "missing"),
]


@pytest.mark.parametrize(("task", "content", "cause", "named"), BROKEN)
def test_what_is_wrong_with_a_question_is_told(task, content, cause, named):
    (question,) = questions(task, content)
    assert question.problems == (question.problem,)
    assert question.problem.cause == cause
    assert named in question.problem.reason


@pytest.fixture(scope="module")
def two_videos(tmp_path_factory):
    return draw_set(
        tmp_path_factory.mktemp("set"),
        {"one": 5, "two": 5},
        {SCENE: [("one", [choice(3), choice(4)]), ("two", [choice(4)])]},
    )


@pytest.fixture
def copied(two_videos, tmp_path):
    """A copy of the set that a test may spoil."""
    root = tmp_path / "set"
    shutil.copytree(two_videos.root, root)
    return type(two_videos)(root, root / "gaze")


def video(drawn, stem):
    return drawn.root / "videos" / "original_video" / f"{stem}.mp4"


def fixation_file(drawn, stem):
    return drawn.fixations / f"{stem}_fixation_filtered.csv"


def test_check_of_a_sound_set(two_videos, capsys):
    assert main(two_videos.options("--check")) == 0
    assert "3 questions in 1 task files: no problem found" in capsys.readouterr().out


def test_check_lists_every_problem_of_files(copied, capsys):
    video(copied, "two").unlink()
    fixation_file(copied, "one").unlink()
    fixation_file(copied, "two").unlink()
    twice_wrong = choice(3) | {"time_stamp": "soon", "options": []}
    write_task(copied.root, EASY, [entry("three.mp4", [twice_wrong]), entry("", [choice(1)])])
    (copied.root / "qa" / f"{GTA}.json").write_text("{}")
    assert main(copied.options("--check")) == 1
    *listed, last = [line for line in capsys.readouterr().out.splitlines() if line]
    found = sorted(tuple(line.split(": ")[:2]) for line in listed)
    asked = f"{EASY}, three.mp4 at soon"
    assert found == [
        ("empty options", asked),
        ("missing fixation file", "one.mp4, 2 questions"),
        ("missing fixation file", "three.mp4, 1 questions"),
        ("missing fixation file", "two.mp4, 1 questions"),
        ("missing video", "three.mp4, 1 questions"),
        ("missing video", "two.mp4, 1 questions"),
        ("no video named", f"{EASY}, no video at 00:01"),
        ("unreadable time", asked),
        ("unusable task file", str(copied.root / "qa" / f"{GTA}.json")),
    ]
    assert last.startswith("5 of 5 questions can't be asked; problems: ")
    for counted in ("3 missing fixation file", "2 missing video", "1 unreadable time"):
        assert counted in last


def spoil_video(drawn):
    video(drawn, "two").write_bytes(b"not a video")


def truncate_video(drawn):
    path = video(drawn, "two")
    path.write_bytes(path.read_bytes()[:-200])


def drop_column(drawn):
    fixation_file(drawn, "two").write_text("fixation_id,center_x,start_time,end_time\n0,.5,1,2\n")


def empty_fixations(drawn):
    fixation_file(drawn, "two").write_text("center_x,center_y,start_time,end_time\n")


def late_question(drawn):
    write_task(drawn.root, SCENE, [entry("two.mp4", [choice(60)])])


def overlay_only(drawn):
    target = drawn.root / "videos" / "viz_video" / "two.mp4"
    target.parent.mkdir()
    video(drawn, "two").rename(target)


@pytest.mark.parametrize(
    ("spoil", "cause", "named"),
    [
        (spoil_video, "unusable video", "two.mp4"),
        (truncate_video, "unusable video", "truncated"),
        (drop_column, "unusable fixation file", "center_y"),
        (empty_fixations, "unusable fixation file", "no rows"),
        (late_question, "time after the end of the video", "01:00"),
        (overlay_only, "missing video", "gaze drawn in"),
    ],
)
def test_check_names_what_is_wrong(copied, capsys, spoil, cause, named):
    spoil(copied)
    assert main(copied.options("--check")) == 1
    problem = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(cause))
    assert named in problem


def test_without_gaze_no_fixation_file_is_needed(copied, capsys):
    fixation_file(copied, "one").unlink()
    assert main(copied.options("--check", "--gaze", "none")) == 0


@pytest.mark.parametrize(
    "header",
    [
        "start_time,end_time,center_x,center_y",
        "center_x,center_y,start_time_seconds,end_time_seconds",
    ],
)
def test_fixation_files_in_folders_of_their_own_and_with_other_names(copied, header):
    order = [0.5, 0.6, 1.0, 3.0] if header.startswith("center") else [1.0, 3.0, 0.5, 0.6]
    for stem in ("one", "two"):
        fixation_file(copied, stem).unlink()
        path = copied.fixations / stem / f"{stem}_fixation_filtered.csv"
        path.parent.mkdir()
        path.write_text(f"{header}\n{','.join(map(str, order))}\n")
    assert main(copied.options("--check")) == 0


def test_videos_lie_in_any_folder(copied):
    target = copied.root / "videos" / "videos_egtea_original" / "deep"
    shutil.move(copied.root / "videos" / "original_video", target)
    assert main(copied.options("--check")) == 0


def test_a_split_by_video(two_videos, tmp_path, capsys):
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["one.mp4"], "test": ["two.mp4"]}))
    assert main(two_videos.options("--check", "--split", split)) == 0
    assert "1 questions" in capsys.readouterr().out
    assert main(two_videos.options("--check", "--split", split, "--part", "train")) == 0
    assert "2 questions" in capsys.readouterr().out
    assert main(two_videos.options("--check", "--split", split, "--part", "val")) == 1
    assert "train, test" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--tasks", "XYZ"], "XYZ"),
        (["--tasks", "GTA"], GTA),
        (["--split", "nowhere.json"], "nowhere.json"),
        (["--video-dir", "nowhere"], "nowhere"),
    ],
)
def test_wrong_options_are_one_line(two_videos, capsys, options, named):
    assert main(two_videos.options("--check", *options)) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and named in error


def test_a_task_file_that_is_no_json_and_an_empty_folder(copied, tmp_path, capsys):
    (copied.root / "qa" / f"{SCENE}.json").write_text("[{")
    assert main(copied.options("--check")) == 1
    assert "unusable task file" in (told := capsys.readouterr()).out and "not JSON" in told.out
    run = ["--bundle", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main(copied.options(*run)) == 1
    error = capsys.readouterr().err
    assert "not JSON" in error and error.count("\n") == 1
    assert main(["--check", "--data", str(tmp_path)]) == 1
    assert "no task file" in capsys.readouterr().err
