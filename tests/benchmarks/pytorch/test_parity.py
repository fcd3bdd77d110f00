"""A fidelity row for each stage: near where nothing is wrong, and far where a stage is."""

import json

import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")

from benchmarks.instruments import pipeline as names
from benchmarks.pytorch.parity import compare, exported_sheet, main
from export.parity.torch_models import TorchModels
from runtime.engines.choice import Machine

BARE = Machine(None, ("CPUExecutionProvider",), {})
BOTH_HALVES = f"{names.SCENE} and {names.GAZE}"
ROWS = [names.VISION, names.VJEPA, BOTH_HALVES, names.FIRST, names.NEXT]


@pytest.fixture(scope="module")
def torch_models(tiny_models, tiny_reference):
    return TorchModels(tiny_models.bundle, tiny_reference)


def errors(ours, theirs):
    """The largest error of each stage in percent."""
    table = compare(ours, theirs, 1, lambda said: None).sheet("")
    return {row[0]: row[3] for row in table.rows}


def test_every_stage_of_a_bundle_in_float32_is_near(tiny_models, torch_models):
    found = errors(tiny_models, torch_models)
    assert list(found) == ROWS and max(found.values()) < 0.05


class Wrong:
    """Models of which one stage computes something else."""

    def __init__(self, models, stage):
        self._models, self._stage = models, stage

    def __getattr__(self, name):
        method = getattr(self._models, name)
        if name != self._stage:
            return method
        return lambda *given: method(*given) * 1.5 + method(*given)[::-1]


@pytest.mark.parametrize(
    ("stage", "wrong"),
    [
        ("visual", {names.VISION, names.FIRST, names.NEXT}),
        ("features", {names.VJEPA, BOTH_HALVES, names.FIRST, names.NEXT}),
        ("residuals", {BOTH_HALVES, names.FIRST, names.NEXT}),
    ],
)
def test_a_stage_that_is_wrong_shows_in_its_row_and_in_what_follows(
    tiny_models, torch_models, stage, wrong
):
    found = errors(Wrong(tiny_models, stage), torch_models)
    assert {name for name, error in found.items() if error > 1} == wrong


def test_the_command_has_the_rows_and_what_the_export_found(tiny_folder, tmp_path):
    file = tmp_path / "parity.json"
    checkpoints = str(tiny_folder.with_name("tiny-checkpoints"))
    given = ["--bundle", str(tiny_folder), "--checkpoints", checkpoints, "--threads", "1"]
    assert main([*given, "--cases", "1", "--json", str(file)], BARE) == 0
    stages, exported = json.loads(file.read_text())["sheets"]
    assert [row[0] for row in stages["rows"]] == ROWS
    assert [row[4] is None for row in stages["rows"]] == [True] * 3 + [False] * 2
    assert 0 < max(row[1] for row in exported["rows"]) <= 1


def test_what_the_export_found_is_of_its_bounds(tiny_models):
    manifest = tiny_models.bundle.manifest
    shares = dict(exported_sheet(tiny_models.bundle).rows)
    for figure in manifest.parity:
        if not figure.must_change and figure.bound:
            assert figure.difference / figure.bound <= shares[figure.graph]
