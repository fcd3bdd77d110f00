"""The evaluation of mini: what it asks, how it counts, what rounding is said to change."""

import json
from itertools import islice

import numpy as np
import pytest

from benchmarks.mini import rounding
from benchmarks.mini.__main__ import main
from benchmarks.mini.held_out import held_out
from benchmarks.mini.rounding import Likeness
from benchmarks.mini.table import Tally, table_lines
from benchmarks.mini.trial import CONDITIONS, Judged
from devices.synthetic.questions import ASKERS, GTA, OAA, OI_EASY
from runtime.run.command_line import MINI


@pytest.fixture(scope="module")
def clips():
    return [pair.clip for pair in islice(held_out(5, lambda: ASKERS), 150)]


def test_every_option_can_be_seen_and_only_one_is_right(clips):
    for clip in clips:
        present = {thing.name for thing in clip.things}
        for question in clip.questions:
            assert len(set(question.options)) == len(question.options)
            if question.task == OI_EASY:
                assert set(question.options) <= present


@pytest.mark.parametrize("task", [GTA, OAA])
def test_yes_and_no_are_balanced(task, clips):
    answers = [
        question.answer for clip in clips for question in clip.questions if question.task == task
    ]
    assert len(answers) > 100
    assert 0.35 < answers.count("A") / len(answers) < 0.65


def test_a_tally_counts_the_first_questions_of_every_task_only():
    tally = Tally([OI_EASY, GTA], 2)
    judged = [
        Judged(OI_EASY, 1, "A", ("A", "B", "C")),
        Judged(OI_EASY, 1, "B", ("B", "B", "A")),
        Judged(OI_EASY, 1, "C", ("C", "C", "C")),
    ]
    tally.add(judged)
    assert tally.right(OI_EASY, 0) == (2, 2)
    assert tally.right(OI_EASY, 1) == (1, 2)
    assert tally.right(OI_EASY, 2) == (0, 2)
    assert tally.open_tasks == {GTA}
    assert not tally.is_full
    row = list(table_lines(tally, [OI_EASY]))[-1]
    assert row.startswith(f"| {OI_EASY} | 2 | 25 | 100.0 (")


def test_the_shipped_bundle_is_right_because_of_gaze(tmp_path, capsys):
    answers = tmp_path / "answers.jsonl"
    assert main(["--questions", "12", "--seed", "9", "--out", str(answers)]) == 0
    judged = [json.loads(line) for line in answers.read_text("utf-8").splitlines()]
    easy = [each for each in judged if each["task"] == OI_EASY]
    right = [sum(e["answers"][n] == e["right"] for e in easy) / len(easy) for n in range(3)]
    assert right[0] > 0.75
    assert max(right[1:]) < 0.6
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + len(ASKERS)
    assert table[0].endswith(f"| {' | '.join(CONDITIONS)} |")


def test_a_bundle_is_just_like_itself(capsys):
    assert rounding.main([str(MINI), "--exact", str(MINI), "--clips", "2"]) == 0
    row = capsys.readouterr().out.splitlines()[-1].split(" | ")
    assert row[0] == "| all"
    assert row[2].startswith("100.0 (")
    assert row[3:] == ["1.0000", "0.000 |"]


def test_likeness_is_about_the_change_that_gaze_makes():
    likeness = Likeness()
    exact = np.array([[3.0, 4.0], [0.0, 0.0], [3.0, 3.0]], np.float32)
    turned = np.array([[4.0, 4.0], [0.0, 0.0], [3.0, 4.0]], np.float32)
    likeness.add(turned, exact, same=False)
    assert likeness.same == 0
    assert likeness.cosines == [pytest.approx(0.0)]
    assert likeness.errors == [pytest.approx(0.2)]


def test_a_bundle_that_is_not_there_is_told_in_one_line(tmp_path, capsys):
    for command in (
        lambda: main(["--bundle", str(tmp_path / "none")]),
        lambda: rounding.main([str(tmp_path / "none")]),
    ):
        assert command() == 1
        assert capsys.readouterr().err.count("\n") == 1
