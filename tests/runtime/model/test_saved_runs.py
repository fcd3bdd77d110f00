"""Where a run costs what reading the weights does: one a step, one for a tail step and its text."""

from functools import partial

import numpy as np
import pytest
from cuda_bundles import for_cuda

from devices.samples import Fixation
from export.graphs.precision.narrowing import cpu_engine
from runtime.answers.questions import Question
from runtime.answers.watcher import Watcher
from runtime.bundle.names import DECODER
from runtime.bundle.opening import Bundle
from runtime.errors import QuestionError
from runtime.model.models import Models
from runtime.stopwatch import Stopwatch
from runtime.stream.frame_timeline import FramePair
from runtime.stream.gaze_timeline import GazeView
from runtime.stream.steps import Step, StepPlan

GRID = 3, 4
TEXT = np.array([5, 6, 7])
CHOICE = Question("What is it?", ("a cup", "a knife"))
FREE = Question("What is it?")
WINDOW = 4
GENERATED = 5
MILLISECOND = 1_000_000


class Counted:
    """An engine that counts its runs."""

    def __init__(self, engine):
        self._engine = engine
        self.name, self.buffer, self.runs = engine.name, engine.buffer, 0

    def run(self, inputs, into=None, keep=()):
        self.runs += 1
        return self._engine.run(inputs, into, keep)


@pytest.fixture(scope="module")
def cuda_models(tiny_folder, tmp_path_factory):
    folder = for_cuda(tiny_folder, tmp_path_factory.mktemp("cuda") / "tiny", "float32")
    return counted(Bundle.open(folder))


@pytest.fixture(scope="module")
def cpu_models(tiny_folder):
    return counted(Bundle.open(tiny_folder))


def counted(bundle):
    models = Models(bundle, lambda path: Counted(cpu_engine(path, threads=1)))
    assert models._decoder.runs == 0
    return models


def steps_of(models, count, seed=0):
    """Encoded steps of random numbers."""
    rng = np.random.default_rng(seed)
    shape = models.bundle.manifest.geometry
    tokens, injected = GRID[0] * GRID[1], len(shape.resampler.injected_layers)
    steps = []
    for number in range(count):
        at = number * MILLISECOND
        fixation = Fixation(at, at, 0.5, 0.5, at, None, "velocity")
        plan = StepPlan(
            number, at, FramePair(None, None, at, at + 1), GazeView((fixation,), at, True)
        )
        visual = rng.normal(size=(tokens, shape.decoder.width)).astype(np.float32)
        residuals = rng.normal(size=(injected, tokens, shape.decoder.width)).astype(np.float32)
        steps.append(Step(plan, visual, residuals))
    return steps


def filled(models, steps):
    context = models.context(GRID, 120)
    for step in steps:
        context.append_step(step.visual, step.residuals)
    return context


def runs(models, work):
    before = models._decoder.runs
    work()
    return models._decoder.runs - before


def near(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * max(1.0, np.abs(theirs).max()))


def test_two_contexts_take_a_step_in_one_run_as_each_would_alone(cuda_models):
    first, second, third, new = steps_of(cuda_models, 4)
    long, short = filled(cuda_models, [first, second, third]), filled(cuda_models, [third])
    appended = runs(cuda_models, lambda: long.append_step_beside(short, new.visual, new.residuals))
    assert appended == 1
    for context, steps in ((long, [first, second, third, new]), (short, [third, new])):
        alone = filled(cuda_models, steps)
        assert context.steps == len(steps) and context.room == alone.room
        near(context.append_text(TEXT), alone.append_text(TEXT))


def test_what_stands_beside_one_context_changes_nothing_in_it(cuda_models):
    """Another context's tokens, of another number, or none at all."""
    first, new, other = steps_of(cuda_models, 3)
    expected = filled(cuda_models, [first, new]).append_text(TEXT)
    for beside in ([], [other], [other, other, other]):
        context = filled(cuda_models, [first])
        context.append_step_beside(filled(cuda_models, beside), new.visual, new.residuals)
        near(context.append_text(TEXT), expected)


def test_a_deferred_step_and_its_text_are_one_run_and_the_same_logits(cuda_models):
    first, tail = steps_of(cuda_models, 2)
    expected = filled(cuda_models, [first, tail]).append_text(TEXT)
    context = filled(cuda_models, [first])
    start, found = context.mark(), []

    def ask():
        context.defer_step(tail.visual, tail.residuals)
        found.append(context.append_text(TEXT))

    assert runs(cuda_models, ask) == 1
    near(found[0], expected)
    context.rewind(start)
    near(context.append_text(TEXT), filled(cuda_models, [first]).append_text(TEXT))


def test_a_second_question_finds_the_tail_step_written(cuda_models):
    first, tail = steps_of(cuda_models, 2)
    context = filled(cuda_models, [first])
    context.defer_step(tail.visual, tail.residuals)
    after_tail, other = context.mark(), np.array([9, 8, 7, 6])
    context.append_text(TEXT)
    context.rewind(after_tail)
    near(context.append_text(other), filled(cuda_models, [first, tail]).append_text(other))


def test_a_deferred_step_that_nothing_followed_is_written_before_the_next(cuda_models):
    first, second, third = steps_of(cuda_models, 3)
    expected = filled(cuda_models, [first, second, third]).append_text(TEXT)
    alone, beside = filled(cuda_models, [first]), filled(cuda_models, [first])
    for context in (alone, beside):
        context.defer_step(second.visual, second.residuals)
    alone.append_step(third.visual, third.residuals)
    beside.append_step_beside(alone_of(cuda_models), third.visual, third.residuals)
    for context in (alone, beside):
        near(context.append_text(TEXT), expected)


def alone_of(models):
    return models.context(GRID, 60)


def test_a_deferred_step_is_forgotten_with_a_rewind(cuda_models):
    first, tail = steps_of(cuda_models, 2)
    context = filled(cuda_models, [first])
    mark, room = context.mark(), context.room
    context.defer_step(tail.visual, tail.residuals)
    assert (context.steps, context.room) == (2, room - 12)
    context.rewind(mark)
    assert (context.steps, context.room) == (1, room)
    near(context.append_text(TEXT), filled(cuda_models, [first]).append_text(TEXT))
    context.defer_step(tail.visual, None)
    context.clear()
    near(context.append_text(TEXT), filled(cuda_models, []).append_text(TEXT))


def test_a_deferred_step_that_has_no_room_is_refused_at_once(cuda_models):
    (step,) = steps_of(cuda_models, 1)
    context = cuda_models.context(GRID, len(cuda_models.bundle.manifest.prompt.before_video) + 14)
    context.append_step(step.visual, None)
    with pytest.raises(QuestionError, match="12 more tokens do not fit"):
        context.defer_step(step.visual, step.residuals)
    assert context.steps == 1 and context.room == 2


@pytest.mark.parametrize(("target", "per_step", "before_text"), [("cuda", 1, 0), ("cpu", 2, 1)])
def test_runs_per_step_and_per_question(cuda_models, cpu_models, target, per_step, before_text):
    """One and one + generated tokens on a GPU; a step, its context and its text apart on a CPU."""
    models = {"cuda": cuda_models, "cpu": cpu_models}[target]
    watcher = Watcher(models, GRID, WINDOW)
    watcher.asker._most_tokens = GENERATED
    *steps, tail = steps_of(models, 9)
    appended = [runs(models, partial(watcher.append, step, Stopwatch())) for step in steps]
    assert watcher.contexts == 2
    # A context opens at every second step, at first with a run of its own for the prompt.
    assert set(appended[3::2]) == {per_step}

    def asked(*questions):
        return runs(models, partial(watcher.ask, questions, tail, Stopwatch()))

    assert asked(CHOICE) == before_text + 1
    assert asked(FREE) == before_text + 1 + GENERATED
    assert asked(CHOICE, CHOICE, CHOICE) == before_text + 3  # alerts share a tail step


def test_every_tensor_of_a_decoder_in_pairs_is_in_its_signature(cuda_models, cpu_models):
    ours, alone = (models.bundle.manifest.graphs[DECODER] for models in (cuda_models, cpu_models))
    assert {spec.name for spec in alone.inputs} < {spec.name for spec in ours.inputs}
    for context, expected in ((cuda_models, True), (cpu_models, False)):
        assert context.context(GRID, 40).saves_runs is expected
