"""New gaze on old frames runs the gaze half of the resampler, and nothing else."""

import numpy as np
import pytest
from loop_runner import CHOICE, run_loop
from stand_in import MS, SECOND, START, ListedDevice, stream

from devices.samples import Fixation, GazeSample, SceneFrame
from runtime.model.encoder import Encoder
from runtime.model.models import Models
from runtime.run.work import EncoderQueue, GlanceWork, QuestionWork, StepWork
from runtime.stopwatch import Stopwatch
from runtime.stream.frame_timeline import FramePair
from runtime.stream.gaze_timeline import GazeView
from runtime.stream.steps import StepPlan


class CountedModels(Models):
    """Notes the moment of every run of a graph."""

    def __init__(self, bundle):
        super().__init__(bundle)
        self.runs = []

    def features(self, *arguments):
        self.runs.append("vjepa")
        return super().features(*arguments)

    def visual(self, pair):
        self.runs.append("vision")
        return super().visual(pair)

    def residuals(self, scene, encoding):
        self.runs.append("gaze")
        return super().residuals(scene, encoding)


@pytest.fixture
def models(tiny_models):
    return CountedModels(tiny_models.bundle)


def plan(pair, x, at=5):
    fixation = Fixation(at, at, x, 0.5, at - 1, None, "velocity")
    return StepPlan(None, at, pair, GazeView((fixation,), at, True))


def new_pair(seed):
    older, newer = np.random.default_rng(seed).integers(0, 256, (2, 84, 112, 3)).astype(np.uint8)
    return FramePair(older, newer, seed, seed + 1)


def test_the_scene_half_is_kept_and_new_gaze_gives_what_a_full_run_gives(models):
    grid, pair = (3, 4), new_pair(1)
    encoder = Encoder(models, grid, use_gaze=True)
    first = encoder.encode(plan(pair, 0.2), Stopwatch())
    second = encoder.encode(plan(pair, 0.8), Stopwatch())
    assert models.runs == ["vision", "vjepa", "gaze", "gaze"]
    assert np.abs(first.residuals - second.residuals).max() > 1e-3
    fresh = Encoder(models, grid, use_gaze=True).encode(plan(pair, 0.8), Stopwatch())
    np.testing.assert_array_equal(second.residuals, fresh.residuals)
    np.testing.assert_array_equal(second.visual, fresh.visual)


def test_the_same_gaze_on_the_same_frames_runs_nothing(models):
    encoder, pair = Encoder(models, (3, 4), use_gaze=True), new_pair(1)
    first = encoder.encode(plan(pair, 0.2), Stopwatch())
    models.runs.clear()
    assert encoder.encode(plan(pair, 0.2), Stopwatch()).residuals is first.residuals
    assert models.runs == []
    encoder.encode(plan(new_pair(7), 0.2), Stopwatch())
    assert models.runs == ["vision", "vjepa", "gaze"]


def test_the_live_loop_follows_gaze_while_no_frame_comes(models, tmp_path):
    def is_in(sample):
        last = 100 * MS if isinstance(sample, SceneFrame) else SECOND
        return sample.captured_at <= START + last

    samples = [sample for sample in stream(1) if is_in(sample)]
    assert sum(isinstance(sample, GazeSample) for sample in samples) == 200
    found = run_loop(models, ListedDevice(samples), tmp_path / "a", [(CHOICE, 500 * MS)])
    assert models.runs.count("vjepa") == models.runs.count("vision") == 4
    # A fixation counts 0.1 s after it began; each sample of it moves its centre: from 0.12 s to the
    # jump at 0.6 s, and again from 0.72 s to the end.
    assert models.runs.count("gaze") >= 150
    (record,) = found["answer"]
    assert not {"vision", "vjepa", "resampler.scene"} & set(record["stages_ms"])
    assert record["fixations"][-1]["end"] is None


def test_glances_give_way_and_steps_are_bounded():
    queue = EncoderQueue()
    tail = plan(new_pair(1), 0.5)
    question = QuestionWork(CHOICE, 3, tail)
    glances = [GlanceWork(at, tail) for at in range(4)]
    steps = [StepWork(tail) for _ in range(4)]
    for work in (glances[0], glances[1], question, steps[0], glances[2], glances[3]):
        queue.put(work)
    assert queue.dropped_glances == 3
    assert [queue.take(0.0) for _ in range(3)] == [question, steps[0], glances[3]]
    for work in (*steps, question):
        queue.put(work)
    assert (queue.dropped_steps, len(queue)) == (2, 3)
    queue.close(discard=True)
    assert [queue.take(0.0) for _ in range(2)] == [question, None]
