"""The evaluation of mini: what it asks, how it counts, what rounding is said to change."""

import json
import sys
from itertools import islice

import numpy as np
import pytest

from benchmarks.mini import rounding
from benchmarks.mini.__main__ import main
from benchmarks.mini.forgetting import age_lines, by_age, draw_ages
from benchmarks.mini.held_out import held_out
from benchmarks.mini.remembered import steps_ago
from benchmarks.mini.rounding import Likeness
from benchmarks.mini.table import Tally, table_lines
from benchmarks.mini.trial import CONDITIONS, Judged
from devices.synthetic.questions import ASKERS, GSM, GTA, NFI, OAA, OI_EASY, OTP, TaskQuestion
from devices.synthetic.scene import Thing
from devices.synthetic.shapes import KINDS
from export.mini.world.clips import Clip
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
    table, ages = capsys.readouterr().out.split("\n\n")
    table = table.splitlines()
    assert len(table) == 2 + len(ASKERS)
    assert ages.startswith("| steps ago | ")
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


def test_how_long_ago_a_look_was_is_read_off_the_steps():
    """A wearer who looked at things 0, 1, 2, 0, 3 in turn, one step each."""
    things = tuple(
        Thing(kind, "red", 0.2 * n + 0.1, 0.5, 0.1, 0.0) for n, kind in enumerate(KINDS[:4])
    )
    places = np.tile([[each.x, each.y] for each in things], (5, 1, 1)).astype(np.float32)
    looked = [0, 1, 2, 0, 3]
    clip = Clip(
        frames=np.zeros(0, np.uint8),
        gaze=places[range(5), looked],
        gazed=np.ones(5, np.bool_),
        places=places,
        shown=np.ones((5, 4), np.bool_),
        things=things,
        watched=3,
        questions=[],
    )
    zero, one, two, three = clip.names
    after = TaskQuestion(OTP, f"What did I look at right after the {one}?", (two, zero), "A")
    assert steps_ago(clip, after) == 2
    order = TaskQuestion(GSM, "In which order?", (f"{two}, {zero}, {three}",), "A")
    assert steps_ago(clip, order) == 2
    never = TaskQuestion(NFI, "What not?", ("red star", zero, one, three), "A")
    assert steps_ago(clip, never) == 3
    assert steps_ago(clip, TaskQuestion(OI_EASY, "What?", (three,), "A")) is None


def test_what_is_remembered_is_counted_by_age(tmp_path):
    judged = [
        Judged(OTP, 5, "A", ("A", "B", "C"), 2),
        Judged(OTP, 6, "B", ("A", "B", "C"), 2),
        Judged(NFI, 6, "B", ("B", "B", "C"), 4),
        Judged(OI_EASY, 6, "B", ("B", "B", "C")),
    ]
    ages = by_age(judged)
    assert ages[OTP] == {2: (1, 2)}
    assert ages[NFI] == {4: (1, 1)}
    lines = list(age_lines(ages))
    assert lines[2].startswith("| 2 | 50 (9 to 91) of 2 | ")
    assert len(lines) == 4
    draw_ages(tmp_path / "ages.png", ages)
    assert (tmp_path / "ages.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_wanted_in_the_end_is_missed_before_the_first_question(
    tmp_path, monkeypatch, capsys
):
    def asked(*_):
        raise AssertionError("a question was asked")

    monkeypatch.setattr("benchmarks.mini.__main__.held_out", asked)
    assert main(["--checkpoints", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["--chart", str(tmp_path / "chart.png")]) == 1
    told = capsys.readouterr().err
    assert "extra 'report'" in told and told.count("\n") == 1
