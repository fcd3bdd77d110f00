"""The released protocol through the evaluation: which frames and which clip a question gets."""

import pytest
from drawn_streamgaze import alert, choice, draw_set

from benchmarks.streamgaze.asking.evaluation import Way, evaluate
from benchmarks.streamgaze.data.dataset import Selection, VideoIndex, read_tasks
from benchmarks.streamgaze.data.entries import read_entries
from benchmarks.streamgaze.data.media import Library
from benchmarks.streamgaze.data.tasks import Window, task_named
from devices.clock import NANOSECONDS

SCENE, GTA = "past_scene_recall", "proactive_gaze_triggered_alert"


def point(clip, realtime="00:08"):
    return {"realtime": realtime, "type": 1, "input_video_clip": clip}


@pytest.fixture(scope="module")
def asked(tiny_models, tmp_path_factory):
    """The seconds of the frames that each question's steps end with, by its time stamp."""
    points = alert([]) | {
        "test_info": [point([3, 9]), point([5, 5], "00:07"), point(None, "00:00")]
    }
    drawn = draw_set(
        tmp_path_factory.mktemp("set"),
        {"clip": 10},  # 41 frames, 4 a second
        {SCENE: [("clip", [choice(8), choice(0)])], GTA: [("clip", [points])]},
    )
    library = Library(VideoIndex([drawn.root / "videos"]), [drawn.fixations])
    files = read_tasks(drawn.root, Selection())
    return {
        (result.key.task, result.key.time): result
        for result in evaluate(tiny_models, library, files, Way("released", use_gaze=True))
    }


def last_frames(result):
    return [(step - result.video_start) / NANOSECONDS for step in result.steps]


def test_the_frame_at_the_time_stamp_is_not_seen(asked):
    # 32 frames, from 0 to 7.75 s: of them 0, 4, 9, 13, 18, 22, 27, 31.
    assert last_frames(asked[SCENE, "00:08"]) == [1.0, 3.25, 5.5, 7.75]


def test_a_test_points_own_clip_goes_before(asked):
    result = asked[GTA, "00:08"]
    # [3, 9): 24 frames from 3 s on, 6 of them: 0, 5, 9, 14, 18, 23.
    assert last_frames(result) == [4.25, 6.5, 8.75]
    assert (result.asked_at - result.video_start) / NANOSECONDS == 9.0


def test_an_empty_clip_of_an_alert_lasts_a_second(asked):
    # 4 frames of [5, 6) and of [0, 1).
    assert last_frames(asked[GTA, "00:07"]) == [5.25, 5.75]
    assert last_frames(asked[GTA, "00:00"]) == [0.25, 0.75]


def test_an_empty_clip_of_a_choice_holds_no_pair(asked):
    result = asked[SCENE, "00:00"]
    assert result.skipped == "question refused" and "one frame" in result.reason


@pytest.mark.parametrize(
    ("clip", "window"),
    [
        ([0, 122], Window(0, 122)),
        ([62.5, "122"], Window(62.5, 122)),
        ([9, 3], Window(9, 10)),
        (None, Window(0, 8)),
        ([], Window(0, 8)),
        ("ab", None),
        ({"0": 1}, None),
        ([1], None),
        ([-1, 3], None),
        ([float("nan"), 3], None),
        ([0, 10**400], None),
        ([[0], [3]], None),
    ],
)
def test_clips_of_test_points(clip, window):
    questions = alert([]) | {"test_info": [point(clip)]}
    (found,) = read_entries(task_named(GTA), [{"video_path": "a.mp4", "questions": [questions]}])
    assert found.window == window
    assert (found.problem is None) == (window is not None)
    assert window or "input_video_clip" in found.problem.reason
