"""Ours beside the released way: the same questions by turns, and how near both are."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")

import torch

from benchmarks.instruments.bundles.released_way import (
    PREFILL,
    RESAMPLER,
    VISION,
    VJEPA,
    ReleasedWay,
)
from benchmarks.instruments.decoders.fidelity import Fidelity
from benchmarks.pytorch.reference import AFRESH, KEPT, QUESTIONS, RELEASED, main, measure, ratio
from export.parity.torch_models import TorchModels
from runtime.bundle.opening import Bundle
from runtime.stopwatch import Stopwatch

GRID = 4, 4


@pytest.fixture(scope="module")
def checkpoints(tiny_folder):
    return tiny_folder.with_name("tiny-checkpoints")


@pytest.fixture(scope="module")
def released(tiny_folder, tiny_models, checkpoints):
    """The released way: with our graphs in float32, in PyTorch in bf16 and in float32."""
    files = checkpoints / "qwen", checkpoints / "vjepa.pt", checkpoints / "gazeqwen.pt"
    bundle = Bundle.open(tiny_folder)
    types = {"bf16": torch.bfloat16, "float32": torch.float32}
    theirs = {name: TorchModels.load(bundle, *files, kind) for name, kind in types.items()}
    return {
        name: ReleasedWay(each, GRID) for name, each in ({"ours": tiny_models} | theirs).items()
    }


def test_all_ways_compute_the_same_answer(released):
    logits = {
        name: np.stack([way.ask(question, Stopwatch()) for question in QUESTIONS])
        for name, way in released.items()
    }
    assert Fidelity.of(logits["ours"], logits["float32"]).error < 1e-4
    assert 1e-4 < Fidelity.of(logits["bf16"], logits["float32"]).error < 0.05
    assert Fidelity.of(logits["float32"][:1], logits["float32"][1:2]).error > 0.05


def test_everything_is_encoded_at_every_question(released):
    for way in released.values():
        watch = Stopwatch()
        way.ask(QUESTIONS[0], watch)
        assert set(watch.stages_ms()) == {VJEPA, VISION, RESAMPLER, PREFILL}


def test_all_are_asked_the_same_by_turns_and_the_first_round_is_not_counted():
    asked = []

    def kept(question):
        asked.append(question)
        return 2.0 + len(asked) % 2

    def way(question, watch):
        asked.append(question)
        with watch.stage(VISION):
            return np.zeros(1)

    times, stages = measure(kept, {AFRESH: way}, 2)
    assert asked == [question for question in QUESTIONS for _ in range(2)]
    assert len(times[KEPT]) == len(times[AFRESH]) == len(stages[AFRESH]) == 2


def test_a_ratio_is_the_median_of_paired_rounds():
    assert ratio({KEPT: [1.0, 2.0, 10.0], RELEASED: [20.0, 50.0, 60.0]}, RELEASED) == 20.0


def test_the_command_measures_a_bundle_and_its_checkpoints(tiny_folder, checkpoints, tmp_path):
    file = tmp_path / "reference.json"
    given = ["--bundle", str(tiny_folder), "--checkpoints", str(checkpoints), "--grid", "4x4"]
    assert main([*given, "--rounds", "1", "--json", str(file)]) in (0, 1)
    times, near = json.loads(file.read_text())["sheets"]
    assert [row[0] for row in times["rows"]] == [KEPT, AFRESH, RELEASED]
    assert times["rows"][0][5:] == [None] * 4 and all(times["rows"][2][5:])
    assert [row[0] for row in near["rows"]] == [AFRESH, RELEASED]
    assert near["rows"][0][2] == 100


def test_half_an_origin_is_one_line(tiny_folder, capsys):
    assert main(["--bundle", str(tiny_folder)]) == 1
    assert capsys.readouterr().err.startswith("error: give --bundle and the --checkpoints")
