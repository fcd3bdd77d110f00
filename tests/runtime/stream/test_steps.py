"""Steps as DESIGN says them: when they fall, which frames they take, which gaze."""

import numpy as np
import pytest

from devices.device import Delivery
from devices.samples import GazeSample, SceneFrame
from runtime.stream.fixation_rules import VelocityRule
from runtime.stream.frame_timeline import FrameTimeline, resized
from runtime.stream.gaze_timeline import GazeTimeline
from runtime.stream.steps import StepPlanner

SECOND = 1_000_000_000
MS = 1_000_000
START = 1_700_000_000 * SECOND


def frame(at, index=0):
    pixels = np.full((28, 28, 3), index % 256, np.uint8)
    return SceneFrame(START + at, START + at, index, pixels)


def gaze(at, x=0.5, worn=True):
    return GazeSample(START + at, START + at, x, 0.5, worn)


def planner(rate=1.0, min_open=0.1, age=0.25):
    timeline = GazeTimeline(VelocityRule(1600, 1200), min_open, age)
    return StepPlanner(FrameTimeline(28, 28, rate), timeline, rate)


def delivery(samples, until):
    return Delivery(tuple(samples), START + until, START + until)


def thirty_hertz(seconds, first=0):
    return [frame(round(i * SECOND / 30), i) for i in range(first, round(seconds * 30))]


def offsets(plans):
    return [(plan.pair.older_at - START, plan.pair.newer_at - START) for plan in plans]


def test_steps_fall_every_two_frames_of_the_sampling_rate():
    steps = planner(rate=1.0)
    steps.receive(delivery(thirty_hertz(5), 5 * SECOND), START + 5 * SECOND)
    plans = steps.due(START + 5 * SECOND)
    assert [plan.number for plan in plans] == [0, 1, 2]
    assert offsets(plans) == [(0, 0), (1 * SECOND, 2 * SECOND), (3 * SECOND, 4 * SECOND)]
    assert steps.due(START + 5 * SECOND) == []


def test_frames_are_the_newest_captured_by_their_time():
    steps = planner(rate=1.0)
    times = [0, 700 * MS, 950 * MS, 1010 * MS, 1960 * MS, 2010 * MS]
    steps.receive(delivery([frame(at) for at in times], 2100 * MS), START + 2100 * MS)
    plans = steps.due(START + 2100 * MS)
    # The newest by 2.0 s was captured at 1.96 s; the newest by 0.96 s at 0.95 s.
    assert offsets(plans)[1] == (950 * MS, 1960 * MS)
    assert plans[1].time == START + 1960 * MS


def test_a_step_waits_until_nothing_can_change_it():
    steps = planner(rate=1.0)
    steps.receive(delivery([frame(0)], 0), START + 0)
    assert len(steps.due(START + 3 * SECOND)) == 1
    steps.receive(
        Delivery((frame(1990 * MS),), START + 1990 * MS, START + 3 * SECOND), START + 2 * SECOND
    )
    assert steps.due(START + 3 * SECOND) == []  # a frame of 1.995 s may still come
    steps.receive(
        Delivery((frame(2020 * MS),), START + 2020 * MS, START + 3 * SECOND), START + 2100 * MS
    )
    assert offsets(steps.due(START + 3 * SECOND)) == [(0, 1990 * MS)]


def test_a_step_waits_for_the_gaze_of_its_frame():
    steps = planner(rate=1.0)
    frames = frame(0), frame(2 * SECOND)
    steps.receive(Delivery(frames, START + 3 * SECOND, START + SECOND), START + 2 * SECOND)
    assert len(steps.due(START + 3 * SECOND)) == 1
    steps.receive(Delivery((), START + 3 * SECOND, START + 2 * SECOND), START + 2100 * MS)
    assert len(steps.due(START + 3 * SECOND)) == 1


@pytest.mark.parametrize("stalled", ["frames", "gaze"])
def test_a_silent_stream_is_waited_for_half_a_second(stalled):
    steps = planner(rate=1.0)
    frames_until = START + (1900 * MS if stalled == "frames" else 3 * SECOND)
    gaze_until = START + (1500 * MS if stalled == "gaze" else 3 * SECOND)
    for now, count in ((0, 1), (2399 * MS, 0), (2500 * MS, 1)):
        samples = (frame(0), frame(1900 * MS)) if now == 0 else ()
        known = min(START + now, frames_until), min(START + now, gaze_until)
        steps.receive(Delivery(samples, *known), START + now)
        assert len(steps.due(START + now)) == count, now


def test_a_step_carries_only_gaze_captured_up_to_its_own_time():
    steps = planner(rate=1.0)
    early = [gaze(1500 * MS + i * 5 * MS, 0.2) for i in range(100)]  # up to 1.995 s
    late = [gaze(2000 * MS + i * 5 * MS, 0.8) for i in range(100)]
    steps.receive(
        delivery([frame(0), frame(1980 * MS), *early, *late], 3 * SECOND), START + 3 * SECOND
    )
    step = steps.due(START + 3 * SECOND)[1]
    (fixation,) = step.gaze.fixations
    assert fixation.x == pytest.approx(0.2)
    assert fixation.captured_at == START + 1980 * MS
    assert step.gaze.gaze_at == START + 1980 * MS


def test_the_same_samples_in_any_portions_give_the_same_steps():
    rng = np.random.default_rng(0)
    samples = thirty_hertz(9) + [
        gaze(round(i * 5 * MS), 0.5 + 0.3 * np.sign(np.sin(i / 90))) for i in range(1800)
    ]
    samples.sort(key=lambda sample: sample.captured_at)
    whole = planner()
    whole.receive(delivery(samples, 9 * SECOND), START + 9 * SECOND)
    expected = whole.due(START + 9 * SECOND)
    for _ in range(3):
        cuts = sorted(rng.integers(0, len(samples), 40))
        piecewise, plans = planner(), []
        for first, last in zip([0, *cuts], [*cuts, len(samples)], strict=True):
            portion = samples[first:last]
            until = portion[-1].captured_at - START - 1 if portion else 0
            piecewise.receive(delivery(portion, until), START + until)
            plans += piecewise.due(START + until)
        piecewise.receive(delivery([], 9 * SECOND), START + 9 * SECOND)
        plans += piecewise.due(START + 9 * SECOND)
        assert [p.pair.key for p in plans] == [p.pair.key for p in expected]
        assert [p.gaze for p in plans] == [p.gaze for p in expected]


def test_tail_takes_the_newest_pair_and_the_gaze_of_the_question():
    steps = planner(rate=1.0)
    samples = thirty_hertz(3) + [gaze(i * 5 * MS, 0.3 if i < 500 else 0.7) for i in range(600)]
    steps.receive(delivery(samples, 3 * SECOND), START + 3 * SECOND)
    steps.due(START + 2900 * MS)
    tail = steps.tail(START + 2900 * MS)
    assert tail.number is None
    assert (tail.pair.older_at - START, tail.pair.newer_at - START) == (1900 * MS, 2900 * MS)
    (fixation,) = tail.gaze.fixations
    assert fixation.x == pytest.approx(0.7)
    assert tail.gaze.gaze_at == START + 2900 * MS


def test_a_question_does_not_disturb_the_steps_after_it():
    asked, quiet = planner(), planner()
    samples = thirty_hertz(5) + [gaze(i * 5 * MS, 0.3 + 0.4 * (i // 150 % 2)) for i in range(1000)]
    samples.sort(key=lambda sample: sample.captured_at)
    for steps in (asked, quiet):
        steps.receive(delivery(samples, 5 * SECOND), START + 5 * SECOND)
    expected = quiet.due(START + 5 * SECOND)
    plans = []
    for moment in (900 * MS, 1999 * MS, 2001 * MS, 3900 * MS):
        plans += asked.due(START + moment)
        asked.tail(START + moment)
    plans += asked.due(START + 5 * SECOND)
    assert [(p.pair.key, p.gaze) for p in plans] == [(p.pair.key, p.gaze) for p in expected]


@pytest.mark.parametrize("worn", [True, False])
def test_stale_gaze_and_closed_eyes_are_no_gaze(worn):
    steps = planner(age=0.25)
    seen = [gaze(i * 5 * MS) for i in range(300)]  # up to 1.495 s
    after = [] if worn else [gaze(1900 * MS, worn=False)]
    steps.receive(
        delivery([frame(0), frame(1990 * MS), *seen, *after], 3 * SECOND), START + 3 * SECOND
    )
    step = steps.due(START + 3 * SECOND)[1]
    assert step.gaze.fixations == ()
    assert not step.gaze.usable
    assert step.gaze.gaze_at == START + (1495 * MS if worn else 1900 * MS)


def test_late_gaze_is_counted_not_used():
    timeline = GazeTimeline(VelocityRule(1600, 1200), 0.1, 0.25)
    timeline.add(gaze(100 * MS))
    timeline.settle(START + 200 * MS)
    timeline.add(gaze(150 * MS))
    assert dict(timeline.dropped) == {"late": 1}
    assert timeline.view(START + 210 * MS).gaze_at == START + 100 * MS


def test_memory_is_bounded_by_the_sampling_interval():
    timeline = FrameTimeline(28, 28, 1.0)
    for index, sample in enumerate(thirty_hertz(120)):
        timeline.add(sample)
        timeline.forget(sample.captured_at)
        assert timeline.newest_at - timeline.oldest_at <= 3.1 * SECOND, index


def test_resizing_is_antialiased():
    stripes = np.zeros((112, 112, 3), np.uint8)
    stripes[:, ::2] = 255
    small = resized(stripes, 28, 28)
    assert small.shape == (28, 28, 3)
    assert np.abs(small[4:-4, 4:-4].astype(int) - 127).max() <= 3


def test_a_tail_carries_the_gaze_of_its_own_moment_on_the_newest_frames():
    steps = planner()
    moment = 2020 * MS
    samples = [*thirty_hertz(2), *(gaze(at) for at in range(0, moment + 1, 5 * MS))]
    steps.receive(delivery(samples, moment), START + moment)
    tail = steps.tail(START + moment)
    assert tail.pair.newer_at < START + 2 * SECOND
    assert tail.gaze.gaze_at == tail.time == START + moment
    (fixation,) = tail.gaze.fixations
    assert fixation.captured_at == START + moment


def test_a_jump_of_years_costs_a_bounded_number_of_steps():
    steps = planner(rate=1.0)
    steps.receive(delivery(thirty_hertz(1), SECOND), START + SECOND)
    assert [plan.number for plan in steps.due(START + SECOND)] == [0]
    years = 300_000_000 * SECOND
    steps.receive(delivery([frame(years)], years), START + years)
    plans = steps.due(START + years)
    assert 1000 < len(plans) <= 2001
    assert plans[-1].number == years // (2 * SECOND)
    assert plans[-1].pair.newer_at == START + years
