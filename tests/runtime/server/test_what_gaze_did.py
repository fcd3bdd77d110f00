"""What the page shows of a step lies on what the wearer looked at, and only then."""

import numpy as np
import pytest
from loop_runner import run_loop

from devices.clock import NANOSECONDS, SimulatedClock
from devices.synthetic.device import SyntheticDevice
from devices.synthetic.wearer import Wearer
from runtime.answers.listeners import Seen
from runtime.bundle.opening import Bundle
from runtime.engines.engine import OnnxEngine
from runtime.model.models import Models
from runtime.run.command_line import MINI
from runtime.server.steps import gaze_strength

START = 1_700_000_000 * NANOSECONDS
SEED, SECONDS, STEPS = 0, 110.0, 50
SHARE = 0.8
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def mini():
    return Models(Bundle.open(MINI), lambda path: OnnxEngine(path, threads=1))


@pytest.fixture(scope="module")
def seen(mini, tmp_path_factory):
    """The steps of a synthetic wearer that went into a context."""
    told = []
    device = SyntheticDevice(SEED, SECONDS, SimulatedClock(START), question_every=None)
    out = tmp_path_factory.mktemp("heat") / "run.jsonl"
    run_loop(mini, device, out, eager=False, listener=told.append, compares=True)
    return [news for news in told if isinstance(news, Seen) and news.counts]


def looked_at(seen):
    """(step, the box of the thing that is fixated at its moment: left, right, upper, lower)."""
    wearer = Wearer(SEED, SECONDS)
    for each in seen:
        seconds = (each.step.plan.pair.newer_at - START) / NANOSECONDS
        dwell = wearer.eyes.dwell_at(seconds)
        if dwell is None or dwell.thing is None or not each.step.plan.gaze.fixations:
            continue
        thing = wearer.scene.things[dwell.thing]
        centre = np.array([[thing.x], [thing.y]])
        x, y = wearer.head.seen(centre, np.array([seconds]))[:, 0]
        half = thing.size / 2
        yield each, (x - half, x + half, y - half, y + half)


def lies_on(values, box, grid):
    """Whether the token with the largest value covers a part of a box."""
    row, column = divmod(int(np.argmax(values)), grid[1])
    across = column / grid[1] < box[1] and (column + 1) / grid[1] > box[0]
    return across and row / grid[0] < box[3] and (row + 1) / grid[0] > box[2]


def test_it_is_greatest_on_what_is_looked_at(mini, seen):
    settings = mini.bundle.manifest.settings
    grid = settings.live_height, settings.live_width
    steps = list(looked_at(seen))[:STEPS]
    assert len(steps) == STEPS
    found = [lies_on(gaze_strength(s), box, grid) for s, box in steps]
    chance = np.mean([lies_on(np.eye(16)[n], box, grid) for _, box in steps for n in range(16)])
    print(f"on the thing: {sum(found)} of {STEPS}; any token would be: {chance:.2f}")
    assert np.mean(found) >= SHARE


def test_it_is_nothing_where_nothing_is_fixated(seen):
    idle = [each for each in seen if not each.step.plan.gaze.fixations]
    assert idle
    assert all(np.array_equal(each.step.residuals, each.unlooked) for each in idle)


def test_nobody_pays_for_it_who_does_not_ask(mini, tmp_path):
    told = []
    device = SyntheticDevice(SEED, 4.0, SimulatedClock(START), question_every=None)
    run_loop(mini, device, tmp_path / "run.jsonl", eager=False, listener=told.append)
    assert {news.unlooked for news in told if isinstance(news, Seen)} == {None}
