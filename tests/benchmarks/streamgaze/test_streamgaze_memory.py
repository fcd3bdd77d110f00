"""A run that is weighed after every question."""

import pytest
from drawn_streamgaze import choice, draw_set

from benchmarks.streamgaze import memory
from benchmarks.streamgaze.__main__ import main
from benchmarks.streamgaze.asking.results import read_run
from benchmarks.streamgaze.memory import Scales

SCENE = "past_scene_recall"


@pytest.fixture(scope="module")
def command(tiny_folder, tmp_path_factory):
    asked = {SCENE: [("clip", [choice(second) for second in range(1, 9)] * 5)]}
    drawn = draw_set(tmp_path_factory.mktemp("set") / "set", {"clip": 8}, asked)
    return drawn.options("--bundle", tiny_folder, "--out")


def test_growth_is_told_after_the_warm_up():
    flat = Scales([*(100.0 + n for n in range(20)), *[120.0] * 80])
    assert flat.growth() == pytest.approx(0, abs=1e-9)
    growing = Scales([300.0] * 40 + [300 + 0.02 * n for n in range(160)])
    assert growing.growth() == pytest.approx(20.0)
    assert [row[0] for row in growing.rows()][::9] == ["1", "200"]


def test_a_weighed_run_is_a_run(command, tmp_path, capsys):
    assert main(["memory", *command, str(tmp_path / "run")]) in (0, 1)
    told = capsys.readouterr().out
    assert "growth of memory" in told and "| 40 |" in told
    assert len(read_run(tmp_path / "run").results) == 40


def test_a_leak_is_told(command, tmp_path, capsys, monkeypatch):
    weight = iter(range(10**6))

    class Leaking:
        @property
        def private(self):
            return next(weight) * 10_000_000

        @classmethod
        def now(cls):
            return cls()

    monkeypatch.setattr(memory, "Resident", Leaking)
    assert main(["memory", *command, str(tmp_path / "run")]) == 1
    assert "NOT met" in capsys.readouterr().out


def test_too_few_questions_tell_nothing(command, tmp_path, capsys):
    assert main(["memory", *command, str(tmp_path / "run"), "--limit", "3"]) == 1
    assert "give a new folder and a larger data set" in capsys.readouterr().err
