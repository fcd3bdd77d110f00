"""A real question and its real fixation file, with a video of that length drawn."""

import csv
import json
import shutil
from statistics import fmean

import pytest
from drawn_streamgaze import DrawnSet, draw_video

from benchmarks.streamgaze.asking.evaluation import Way, evaluate
from benchmarks.streamgaze.data.dataset import Selection, VideoIndex, read_tasks
from benchmarks.streamgaze.data.media import Library
from benchmarks.streamgaze.data.tasks import TASKS
from benchmarks.streamgaze.reporting.published import read_published
from devices.clock import NANOSECONDS

STEM = "OP03-R01-PastaSalad"
LENGTH = 277  # seconds
RATE = 4
ASKED = "present_object_identification_easy"


@pytest.fixture(scope="module")
def real(tmp_path_factory, shared_data):
    root = tmp_path_factory.mktemp("real")
    (root / "videos").mkdir()
    (root / "qa").mkdir()
    draw_video(root / "videos" / f"{STEM}.mp4", LENGTH * RATE, RATE, size=(64, 48))
    shutil.copy(shared_data / "streamgaze" / "sample_qa.json", root / "qa" / f"{ASKED}.json")
    return DrawnSet(root, shared_data / "streamgaze")


def asked(models, real, way):
    files = read_tasks(real.root, Selection())
    library = Library(VideoIndex([real.root]), [real.fixations])
    (result,) = evaluate(models, library, files, way)
    assert result.skipped is None
    return result


def at(result, moment):
    return (moment - result.video_start) / NANOSECONDS


def test_released_drops_the_fixation_asked_about(tiny_models, real):
    result = asked(tiny_models, real, Way("released", use_gaze=True))
    # Steps are taken to lie at 216, 220, 224 and 228 s: no fixation spans one of these.
    assert len(result.steps) == 4
    assert result.fixations == ()
    # The frames span the window, 216 to 276 s, in truth: the pairs lie near these seconds.
    seconds = [at(result, step) for step in result.steps]
    assert seconds == pytest.approx([216 + 60 / 7 * n for n in (1, 3, 5, 7)], abs=0.25)


def active_spans(real, second):
    """(start, end) of the file's fixations that span a second."""
    path = real.fixations / f"{STEM}_fixation_filtered.csv"
    with path.open(newline="") as file:
        spans = [(float(row["start_time"]), float(row["end_time"])) for row in csv.DictReader(file)]
    return [span for span in spans if span[0] <= second <= span[1]]


def test_causal_brings_it_in_with_the_last_step(tiny_models, real):
    result = asked(tiny_models, real, Way("causal", use_gaze=True))
    assert [at(result, step) for step in result.steps] == [216.0 + 4 * n for n in range(16)]
    used = [(f.step, at(result, f.start), at(result, f.end)) for f in result.fixations]
    spans = [(n, *span) for n in range(16) for span in active_spans(real, 216.0 + 4 * n)]
    assert [entry[0] for entry in used] == [5, 8, 9, 13, 15]
    assert used == [pytest.approx(entry) for entry in spans]
    fixation = result.fixations[-1]
    assert at(result, fixation.start) == pytest.approx(275.9583333)
    assert at(result, fixation.end) == pytest.approx(278.375)
    assert (fixation.x, fixation.y) == pytest.approx((0.449878454, 0.715811431))
    assert fixation.whole


def test_the_question_is_read_as_it_stands(real, shared_data):
    content = json.loads((shared_data / "streamgaze" / "sample_qa.json").read_text())
    (file,) = read_tasks(real.root, Selection())
    (question,) = file.questions
    assert question.problem is None
    assert question.key.video == f"{STEM}.mp4"
    assert question.options == tuple(content[0]["questions"][0]["options"])
    assert (question.expected, question.window.start, question.window.end) == ("C", 216.0, 276.0)


def test_published_rows_are_read(shared_data):
    rows = {
        row.model: row
        for row in read_published(shared_data / "streamgaze" / "published_results.csv")
    }
    human = {task.short: value for task, value in rows["Human"].tasks.items()}
    assert len(human) == len(TASKS) == 10
    assert (human["OAA"], human["OI-E"], rows["GazeQwen"].overall) == (0.780, 0.960, 0.639)
    # The overall figure is the unweighted mean of the tasks.
    assert fmean(rows["GazeQwen"].tasks.values()) == pytest.approx(0.639, abs=5e-4)


def test_asked_a_second_before_the_stamp_the_fixation_is_not_there_yet(tiny_models, real):
    path = real.root / "qa" / f"{ASKED}.json"
    content = json.loads(path.read_text())
    content[0]["questions"][0]["time_stamp"] = "04:35"
    earlier = real.root / "earlier"
    (earlier / "qa").mkdir(parents=True)
    (earlier / "qa" / f"{ASKED}.json").write_text(json.dumps(content))
    (earlier / "videos").symlink_to(real.root / "videos")
    moved = DrawnSet(earlier, real.fixations)
    result = asked(tiny_models, moved, Way("causal", use_gaze=True))
    assert max((f.start for f in result.fixations), default=0) <= result.asked_at
    assert all(at(result, f.start) < 275 for f in result.fixations)
    # Asked one second later, it comes in with the tail step.
    later = asked(tiny_models, moved, Way("causal", use_gaze=True, ask_after=1.0))
    assert at(later, later.fixations[-1].start) == pytest.approx(275.9583333)
    assert later.fixations[-1].step == len(later.steps) - 1
