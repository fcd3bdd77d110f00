"""A data set drawn by the synthetic wearer, asked from end to end."""

from collections import Counter

import pytest

from benchmarks.streamgaze.__main__ import main
from benchmarks.streamgaze.asking.results import read_run
from benchmarks.streamgaze.data.tasks import TASKS
from devices.clock import NANOSECONDS
from devices.synthetic.__main__ import main as draw

VIDEOS, SECONDS, QUESTIONS = 3, 14, 6
SEED = 3  # of wearers that give occasion for every task


@pytest.fixture(scope="module")
def run(tiny_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    options = ["--videos", VIDEOS, "--seconds", SECONDS, "--questions", QUESTIONS, "--seed", SEED]
    assert draw(["--out", str(folder / "set"), "--frame-rate", "2", *map(str, options)]) == 0
    data = ["--data", str(folder / "set"), "--threads", "1"]
    assert main([*data, "--check"]) == 0
    assert main([*data, "--bundle", str(tiny_folder), "--out", str(folder / "run")]) == 0
    return read_run(folder / "run").results


def test_every_task_is_asked_and_nothing_is_skipped(run):
    counts = Counter(result.key.task for result in run)
    assert set(counts) == {task.name for task in TASKS}
    assert max(counts.values()) == QUESTIONS
    assert not any(result.skipped for result in run)
    alerts = [result.expected for result in run if result.is_alert]
    assert alerts.count("YES") == alerts.count("NO") == QUESTIONS


def test_what_is_looked_at_is_active_in_the_last_step_of_every_question(run):
    for result in run:
        last = [f for f in result.fixations if f.step == len(result.steps) - 1]
        assert len(last) == 1
        assert last[0].start < result.asked_at < last[0].end


def test_steps_are_those_of_training(run):
    for result in run:
        asked = (result.asked_at - result.video_start) / NANOSECONDS
        steps = [(step - result.video_start) / NANOSECONDS for step in result.steps]
        grid = [2.0 * n for n in range(int(asked // 2) + 1)]
        assert steps in (grid, [*grid, asked])
        assert result.context_start == result.video_start
