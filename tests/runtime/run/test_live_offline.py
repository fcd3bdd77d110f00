"""The live loop at any speed against the same steps encoded offline, by hand, from all samples."""

import numpy as np
import pytest
from loop_runner import CHOICE, OPTIONS, RealTimeDevice, run_loop
from stand_in import MS, SECOND, START, ListedDevice, stream

import runtime.run.live_loop as live_loop
from devices.device import Delivery
from runtime.answers.questions import Asker, Question
from runtime.answers.session import gaze_timeline, step_planner
from runtime.model.encoder import Encoder
from runtime.stopwatch import Stopwatch

FREE = Question("What am I looking at?")
SECONDS = 11
ASKED = [(CHOICE, 900 * MS), (FREE, 4210 * MS), (CHOICE, 8005 * MS), (FREE, 10700 * MS)]
WINDOW_STEPS = 8  # 8 s at 2 frames per second; a context opens at every fourth step


@pytest.fixture(scope="module")
def samples():
    return stream(SECONDS, seed=7)


@pytest.fixture(scope="module")
def offline(tiny_models, samples):
    """Per question: its text, the steps' times, the fixations of each step."""
    with ListedDevice(samples) as info:
        gaze = gaze_timeline(OPTIONS, tiny_models.bundle.manifest.settings, info)
    planner = step_planner(tiny_models, OPTIONS, gaze)
    end = START + SECONDS * SECOND
    in_order = sorted(samples, key=lambda sample: sample.captured_at)
    planner.receive(Delivery(tuple(in_order), end, end), end)
    plans, found = [], []
    for question, at in ASKED:
        plans += planner.due(START + at)
        newest = len(plans) - 1
        oldest = next(j for j in range(0, len(plans), 4) if newest - j < WINDOW_STEPS)
        seen = [*plans[oldest:], planner.tail(START + at)]
        found.append((written(tiny_models, seen, question), seen))
    return found


def written(models, plans, question):
    """The greedy answer after one fresh prefill of these steps: (text, probabilities)."""
    manifest = models.bundle.manifest
    grid = manifest.settings.live_height, manifest.settings.live_width
    encoder, asker = Encoder(models, grid, use_gaze=True, kept=1), Asker(models.bundle)
    context = models.context(grid, len(plans) * grid[0] * grid[1] + 300)
    for plan in plans:
        step = encoder.encode(plan, Stopwatch())
        context.append_step(step.visual, step.residuals)
    logits = context.append_text(asker.tokens(question))
    if question.options:
        scores = logits[[manifest.prompt.letters[letter] for letter in "ABC"]].astype(float)
        shares = np.exp(scores) / np.exp(scores).sum()
        return "ABC"[int(shares.argmax())], shares
    tokens = []
    while len(tokens) < manifest.settings.max_new_tokens:
        if (token := int(logits.argmax())) in manifest.prompt.stop:
            break
        tokens.append(token)
        logits = context.append_text(np.array([token]))
    return models.bundle.tokenizer.decode(tokens), None


@pytest.mark.parametrize(
    ("kind", "tick", "eager"),
    [
        (ListedDevice, 1 * MS, False),
        (ListedDevice, 5 * MS, True),
        (ListedDevice, 340 * MS, False),
        pytest.param(RealTimeDevice, 5 * MS, True, marks=pytest.mark.long),
    ],
)
def test_the_same_tokens_fixations_and_step_times(
    tiny_models, samples, offline, tmp_path, monkeypatch, kind, tick, eager
):
    monkeypatch.setattr(live_loop, "TICK", tick)
    monkeypatch.setattr("runtime.run.work.MOST_STEPS", 99)  # however busy this machine is
    found = run_loop(tiny_models, kind(samples), tmp_path / "a", ASKED, eager=eager)
    assert len(found["answer"]) == len(ASKED)
    for record, ((text, shares), plans) in zip(found["answer"], offline, strict=True):
        assert record["answer"] == text
        if shares is not None:
            np.testing.assert_allclose(list(record["probabilities"].values()), shares, atol=1e-5)
        assert record["steps"] == [plan.pair.newer_at for plan in plans]
        used = [(f["step"], f["x"], f["y"], f["start"], f["end"]) for f in record["fixations"]]
        assert used == [
            (index, fixation.x, fixation.y, fixation.started_at, fixation.ended_at)
            for index, plan in enumerate(plans)
            for fixation in plan.gaze.fixations
        ]
    assert found["answer"][-1]["context_start"] == START + 4 * SECOND
