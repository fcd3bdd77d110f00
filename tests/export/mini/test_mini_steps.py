"""Mini is trained on the steps that the runtime makes: same frames, same gaze, nothing later."""

import numpy as np
import pytest

from devices.clock import NANOSECONDS, SimulatedClock
from devices.synthetic.device import SyntheticDevice
from devices.synthetic.eyes import active_centre
from devices.synthetic.wearer import Wearer
from export.mini.sizes import FRAME, FRAME_GAP, MIN_OPEN, STEP_GAP
from runtime.bundle.manifest import Settings
from runtime.stream.fixation_rules import VelocityRule
from runtime.stream.frame_timeline import FrameTimeline
from runtime.stream.gaze_timeline import GazeTimeline
from runtime.stream.sampling import sampling_rate
from runtime.stream.steps import StepPlanner

WINDOW = 30.0
SECONDS = 21.0


def planned(seed):
    """The runtime's steps of a synthetic wearer, and a tail step in between at 17.3 s."""
    clock = SimulatedClock(0)
    rate = sampling_rate(WINDOW)
    rule = VelocityRule(336, 336)
    gaze = GazeTimeline(rule, MIN_OPEN, Settings(4, 4, WINDOW, "velocity").gaze_age_limit)
    planner = StepPlanner(FrameTimeline(FRAME, FRAME, rate), gaze, rate)
    plans, asked = [], round(17.3 * NANOSECONDS)
    with (device := SyntheticDevice(seed, SECONDS, clock, question_every=None)):
        for tick in range(round(SECONDS * 200)):
            clock.sleep_until(tick * (NANOSECONDS // 200))
            planner.receive(device.poll(), clock.now())
            plans += planner.due(clock.now())
            if clock.now() == asked:
                plans.append(planner.tail(asked))
    return plans


@pytest.fixture(scope="module", params=[3, 8, 21])
def watched(request):
    return Wearer(request.param, SECONDS), planned(request.param)


def test_steps_fall_as_often_and_show_frames_as_far_apart(watched):
    _, plans = watched
    times = [plan.time / NANOSECONDS for plan in plans if plan.number is not None]
    assert times == pytest.approx(STEP_GAP * np.arange(len(times)), abs=1 / 30)
    for plan in plans:
        newer, older = plan.pair.newer_at / NANOSECONDS, plan.pair.older_at / NANOSECONDS
        assert newer == pytest.approx(plan.time / NANOSECONDS, abs=1 / 30)
        if newer > FRAME_GAP:
            assert newer - older == pytest.approx(FRAME_GAP, abs=1 / 30)


def test_a_step_carries_the_gaze_that_training_gives_it(watched):
    wearer, plans = watched
    track = wearer.eyes.track(SECONDS)
    agreed = 0
    for plan in plans:
        centres = [
            active_centre(track, plan.time / NANOSECONDS, MIN_OPEN, fine) for fine in (False, True)
        ]
        known = [centre for centre in centres if centre is not None]
        if not plan.gaze.fixations:
            agreed += not known
            continue
        (fixation,) = plan.gaze.fixations
        gaps = [np.hypot(fixation.x - x, fixation.y - y) for x, y in known]
        agreed += bool(gaps) and min(gaps) < 0.02
    # A saccade's very end and a fixation's first moments are a matter of thresholds.
    assert agreed >= len(plans) - 1
