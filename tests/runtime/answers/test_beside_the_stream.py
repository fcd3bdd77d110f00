"""What is asked beside a stream, without gaze or by somebody who leaves, changes nothing in it."""

from dataclasses import replace

import numpy as np
import pytest
from played_session import CHOICE, OPTIONS
from stand_in import MS, START, ListedDevice, stream

from runtime.answers.questions import WITHDRAWN, Asker, Question, Ticket
from runtime.answers.session import gaze_timeline, step_planner
from runtime.answers.watcher import Watcher
from runtime.errors import QuestionError
from runtime.model.encoder import Encoder
from runtime.stopwatch import Stopwatch

CAPACITY = 600


def grid_of(models):
    settings = models.bundle.manifest.settings
    return settings.live_height, settings.live_width


@pytest.fixture(scope="module")
def steps(tiny_models):
    """Encoded with gaze, of the first four seconds of a stream."""
    device = ListedDevice(stream(4))
    with device as info:
        gaze = gaze_timeline(OPTIONS, tiny_models.bundle.manifest.settings, info)
        planner = step_planner(tiny_models, OPTIONS, gaze)
        encoder = Encoder(tiny_models, grid_of(tiny_models), use_gaze=True)
        found = []
        for now in range(START, START + 4000 * MS, 50 * MS):
            device.clock.sleep_until(now)
            planner.receive(device.poll(), now)
            found += [encoder.encode(plan, Stopwatch()) for plan in planner.due(now)]
    assert len(found) >= 4
    assert any(step.plan.gaze.fixations for step in found)
    return found


@pytest.fixture
def watcher(tiny_models, steps):
    watcher = Watcher(tiny_models, grid_of(tiny_models), 16, compares=True)
    for step in steps[:-1]:
        watcher.append(step, Stopwatch())
    return watcher


def asked(watcher, question, tail=None):
    (reply,) = watcher.ask([question], tail, Stopwatch())
    return reply


def bare_answer(models, steps):
    """A context of its own, filled with the same pictures and nothing of gaze."""
    context = models.context(grid_of(models), CAPACITY)
    for step in steps:
        context.append_step(step.visual, None)
    return Asker(models.bundle).ask(CHOICE, context, Stopwatch())


@pytest.mark.parametrize("with_tail", [False, True])
def test_without_gaze_is_a_fresh_prefill_of_the_same_pictures(
    tiny_models, steps, watcher, with_tail
):
    tail = steps[-1] if with_tail else None
    before = asked(watcher, CHOICE, tail)
    reply = asked(watcher, replace(CHOICE, compares=True), tail)
    expected = bare_answer(tiny_models, steps if with_tail else steps[:-1])
    assert reply.without_gaze.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
    assert reply.answer.probabilities == before.answer.probabilities
    assert before.without_gaze is None
    difference = [
        abs(reply.answer.probabilities[letter] - expected.probabilities[letter])
        for letter in expected.probabilities
    ]
    assert max(difference) > 1e-4, "gaze changes nothing here: this can't tell it from none"
    assert asked(watcher, CHOICE, tail).answer.probabilities == before.answer.probabilities


def test_whoever_leaves_ends_the_answer_at_the_next_token(watcher):
    before = asked(watcher, CHOICE).answer.probabilities
    whole = []
    asked(watcher, Question("Say what it is", ticket=Ticket(whole.append)))
    assert len(whole) > 3
    heard = []

    def leave(piece):
        heard.append(piece)
        ticket.withdraw()

    ticket = Ticket(leave)
    with pytest.raises(QuestionError, match=WITHDRAWN):
        asked(watcher, Question("Say what it is", ticket=ticket))
    assert heard == whole[:1]
    assert asked(watcher, CHOICE).answer.probabilities == before


def test_whoever_has_left_is_not_begun_with(watcher):
    ticket = Ticket()
    ticket.withdraw()
    with pytest.raises(QuestionError, match=WITHDRAWN):
        asked(watcher, replace(CHOICE, ticket=ticket))
    assert np.isfinite(list(asked(watcher, CHOICE).answer.probabilities.values())).all()
