"""What a kept stream saves, measured on a small bundle: the cases, their ratios, the command."""

import json

import pytest

from benchmarks.instruments.bundles.kept_stream import Rig
from benchmarks.stream import (
    AFRESH,
    FEW,
    FULL,
    GAZE,
    MANY,
    STEPS,
    findings,
    main,
    measure,
)
from runtime.model.models import Models


class CountedModels(Models):
    """Counts which graphs run."""

    def __init__(self, bundle):
        super().__init__(bundle)
        self.runs = []

    def features(self, *arguments):
        self.runs.append("vjepa")
        return super().features(*arguments)

    def visual(self, pair):
        self.runs.append("vision")
        return super().visual(pair)

    def scene(self, *arguments):
        self.runs.append("scene")
        return super().scene(*arguments)

    def residuals(self, *arguments):
        self.runs.append("gaze")
        return super().residuals(*arguments)


@pytest.fixture(scope="module")
def rig(tiny_models):
    models = CountedModels(tiny_models.bundle)
    rig = Rig(models, (4, 4), [*STEPS.values()])
    rig.gaze()
    return rig, models.runs


@pytest.mark.parametrize(
    ("case", "graphs"),
    [
        ("gaze", {"gaze": 1}),
        ("full", {"vjepa": 1, "scene": 1, "gaze": 1}),
        ("afresh", {"vision": 15, "vjepa": 15, "scene": 15, "gaze": 15}),
    ],
)
def test_a_case_runs_what_it_says(rig, case, graphs):
    rig, runs = rig
    runs.clear()
    assert getattr(rig, case)() > 0
    assert {name: runs.count(name) for name in set(runs)} == graphs


@pytest.mark.parametrize(("case", "steps"), [(FEW, 5), (MANY, 15)])
def test_a_kept_context_holds_its_steps_and_runs_the_gaze_half_only(rig, case, steps):
    rig, runs = rig
    runs.clear()
    assert rig.kept(STEPS[case]) > 0
    assert runs == ["gaze"]
    assert len(rig.watchers[STEPS[case]]._pool.longest.facts) == steps


def test_rounds_are_interleaved_and_ratios_are_those_of_medians():
    order = []

    def case(name, value):
        return lambda: order.append(name) or value

    values = {FEW: 10.0, MANY: 12.0, GAZE: 1.0, FULL: 40.0, AFRESH: 200.0}
    times = measure({name: case(name, value) for name, value in values.items()}, 2, 2)
    assert order[4:] == [FEW, MANY, GAZE, FEW, MANY, GAZE, FULL, AFRESH] * 2
    found = {finding.limit: finding for finding in findings(times)}
    assert found[1.3].figure == pytest.approx(1.2) and found[1.3].is_met
    assert [f.figure for f in findings(times)] == pytest.approx([1.2, 0.06, 0.025])
    assert [f.is_met for f in findings(times)] == [True, False, True]


def test_the_command_writes_every_case(tiny_folder, tmp_path):
    out = tmp_path / "stream.json"
    options = ["--bundle", str(tiny_folder), "--grid", "4x4", "--rounds", "1", "--repeats", "1"]
    main([*options, "--json", str(out)])
    facts = json.loads(out.read_text())
    assert set(facts["details"]["milliseconds"]) == {FEW, MANY, GAZE, FULL, AFRESH}
    assert len(facts["findings"]) == 3


def test_a_grid_that_is_none(tiny_folder, capsys):
    assert main(["--bundle", str(tiny_folder), "--grid", "8"]) == 1
    assert "--grid 8" in capsys.readouterr().err
