"""A code is what a session would answer; what rounds share changes nothing."""

import numpy as np
import pytest
from played_session import OPTIONS
from stand_in import MS, SECOND, START, stream

from devices.device import Delivery, DeviceCounts, DeviceInfo, StreamCounts
from devices.samples import Fixation, SceneFrame
from runtime.answers.questions import Asker, Question
from runtime.answers.session import Session, SessionOptions, live_size
from runtime.coding.coder import Coder, even_groups
from runtime.coding.question import CodingQuestion, listed_things, one_name
from runtime.errors import QuestionError
from runtime.model.encoder import Encoder
from runtime.stopwatch import Stopwatch
from runtime.stream.frame_timeline import FramePair, resized
from runtime.stream.gaze_timeline import GazeView
from runtime.stream.steps import StepPlan

AT = START + SECOND
FIXATION = Fixation(AT - 300 * MS, AT, 0.3, 0.6, AT - 300 * MS, AT + 300 * MS, "file", whole=True)
THINGS = tuple(f"thing {number}" for number in range(11))


def grid_of(models):
    settings = models.bundle.manifest.settings
    return settings.live_height, settings.live_width


@pytest.fixture(scope="module")
def frames():
    return [sample for sample in stream(2) if isinstance(sample, SceneFrame)]


@pytest.fixture(scope="module")
def step(tiny_models, frames):
    size = live_size(tiny_models.bundle.manifest)
    newer = max((f for f in frames if f.captured_at <= AT), key=lambda f: f.captured_at)
    older = frames[0]
    pair = FramePair(
        resized(older.pixels, *size),
        resized(newer.pixels, *size),
        older.captured_at,
        newer.captured_at,
    )
    plan = StepPlan(None, AT, pair, GazeView((FIXATION,), AT, True))
    return Encoder(tiny_models, grid_of(tiny_models), True).encode(plan, Stopwatch())


def test_a_code_is_what_a_session_answers_that_opens_at_the_fixation(tiny_models, frames, step):
    """The session knows nothing of coding: its tail step is the fixation's."""
    things = THINGS[:5]
    question = CodingQuestion(things, checks=False)
    decided = Coder(tiny_models, grid_of(tiny_models), question).code(step)
    counts = DeviceCounts(StreamCounts(), StreamCounts())
    info = DeviceInfo("x", 160, 120, 30.0, None, gaze_from="fixation file")
    options = SessionOptions("file", OPTIONS.window, rate=1.0)
    session = Session(tiny_models, info, options, lambda: counts, opens_at=AT + SECOND)
    samples = tuple(sorted((FIXATION, *frames), key=lambda sample: sample.captured_at))
    session.receive(Delivery(samples, AT + SECOND, AT + SECOND), AT + SECOND)
    record = session.ask(Question(question.text, things), AT)
    assert len(record.steps) == 1 and record.fixations[0].x == FIXATION.x
    assert list(decided.chances.values()) == pytest.approx(
        list(record.probabilities.values()), abs=1e-6
    )


def test_gaze_changes_a_code(tiny_models, step):
    coder = Coder(tiny_models, grid_of(tiny_models), CodingQuestion(THINGS[:4], checks=False))
    with_gaze = coder.code(step)
    without = coder.code(type(step)(step.plan, step.visual, None))
    assert with_gaze.chances != without.chances


def test_rounds_that_share_a_prefix_say_what_fresh_contexts_say(tiny_models, step):
    coder = Coder(tiny_models, grid_of(tiny_models), CodingQuestion(THINGS, checks=False))
    assert coder._shared.size > 3
    shared = coder.code(step)
    fresh = [_fresh(tiny_models, step, group) for group in even_groups(THINGS, 8)]
    winners = [max(group, key=group.get) for group in fresh]
    last = _fresh(tiny_models, step, winners)
    wanted = {
        thing: chance * last[winner]
        for winner, group in zip(winners, fresh, strict=True)
        for thing, chance in group.items()
    }
    assert sum(shared.chances.values()) == pytest.approx(1)
    assert shared.chances == pytest.approx(wanted, abs=1e-5)


def _fresh(models, step, things):
    """The probability of each thing, in a context that holds nothing else."""
    context = models.context(grid_of(models), 800)
    context.append_step(step.visual, step.residuals)
    answer = Asker(models.bundle).ask(
        Question(CodingQuestion().text, tuple(things)), context, Stopwatch()
    )
    return dict(zip(things, answer.probabilities.values(), strict=True))


def test_coding_leaves_nothing_behind_that_changes_the_next_code(tiny_models, step):
    coder = Coder(tiny_models, grid_of(tiny_models), CodingQuestion(THINGS))
    first = coder.code(step)
    half = coder.pieces(step)  # begun and given up in the middle of a round
    for _ in range(2):
        next(half)
    assert coder.code(step) == first


def test_free_text_is_what_the_session_says(tiny_models, step):
    decided = Coder(tiny_models, grid_of(tiny_models), CodingQuestion()).code(step)
    context = tiny_models.context(grid_of(tiny_models), 800)
    context.append_step(step.visual, step.residuals)
    answer = Asker(tiny_models.bundle).ask(Question(CodingQuestion().text), context, Stopwatch())
    assert decided.said == answer.text
    assert 0 <= decided.confidence <= 1


@pytest.mark.parametrize("count", [0, 1, 8, 9, 17, 200])
def test_groups_hold_every_thing_once_and_none_is_alone(count):
    names = [str(number) for number in range(count)]
    groups = even_groups(names, 8)
    assert [name for group in groups for name in group] == names
    assert all(len(group) <= 8 for group in groups)
    assert count < 2 or all(len(group) > 1 for group in groups)
    assert np.ptp([len(group) for group in groups] or [0]) <= 1


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("I am looking at the Red cup.", "red cup"),
        ("a red  cup", "red cup"),
        ("This is an apple!", "apple"),
        ("die Tasse", "die tasse"),
        ("コップ", "コップ"),
        ("the", "the"),
        ("", ""),
    ],
)
def test_the_same_thing_has_one_name(said, name):
    assert one_name(said) == name


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ('cup, bottle,"other person\'s hand"', ("cup", "bottle", "other person's hand")),
        ('"salt, pepper","the ""best"" cup"', ("salt, pepper", 'the "best" cup')),
        ("чашка,コップ", ("чашка", "コップ")),
    ],
)
def test_a_list_is_read_as_it_is_typed(text, things):
    assert listed_things(text) == things


@pytest.mark.parametrize("text", ["", " , ", "cup,Cup", "cup,none of these"])
def test_a_list_that_can_not_be_is_refused(text):
    with pytest.raises(QuestionError):
        listed_things(text)
