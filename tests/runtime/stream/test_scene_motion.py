"""A head that turns over a drawn world: the flow that is measured, and what it is for."""

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from fixation_agreement import matched
from PIL import Image

from devices.device import Delivery
from devices.samples import GazeSample, SceneFrame
from runtime.stream.adaptive_rule import AdaptiveRule
from runtime.stream.frame_timeline import FrameTimeline
from runtime.stream.gaze_timeline import GazeTimeline
from runtime.stream.scene_motion import SceneMotion
from runtime.stream.segments import FrameMark
from runtime.stream.steps import StepPlanner

MS = 1_000_000
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
FIELD = 103.0, 77.0
SIDE = 224
SECONDS = 6
SWAY, TURNS = 22.0, 0.75  # degrees to either side, per second: at most 104 degrees per second


def head(seconds):
    """Where the head points, degrees across; it stays level."""
    return SWAY * np.sin(2 * np.pi * TURNS * np.asarray(seconds))


@pytest.fixture(scope="module")
def world():
    """A painted wall, 180 x 77 degrees, uint8 RGB."""
    rng = np.random.default_rng(4)
    size = round(SIDE * 180 / FIELD[0]), SIDE
    small = rng.integers(0, 256, (30, 60, 3)).astype(np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def view(world, seconds):
    """What the camera sees, (SIDE, SIDE, 3): exact to a fraction of a pixel."""
    left = (world.width - SIDE) / 2 + head(seconds) * SIDE / FIELD[0]
    shift = (1, 0, float(left), 0, 1, 0)
    seen = world.transform((SIDE, SIDE), Image.Transform.AFFINE, shift, Image.Resampling.BICUBIC)
    return np.asarray(seen)


@pytest.fixture(scope="module")
def frames(world):
    times = [round(index * SECOND / 30) for index in range(SECONDS * 30)]
    return [SceneFrame(at, at, i, view(world, at / SECOND)) for i, at in enumerate(times)]


@pytest.fixture(scope="module")
def marks(frames):
    motion = SceneMotion()
    return [FrameMark(f.captured_at, motion.follow(f.pixels, f.captured_at)) for f in frames]


@pytest.fixture(scope="module")
def eyes():
    """Gaze of 250 ms at each of the places on the wall, and when: (samples, (n, 2) spans)."""
    rng = np.random.default_rng(5)
    places = np.stack([rng.uniform(-15, 15, 24), rng.uniform(-20, 20, 24)], axis=1)
    at = np.arange(SECONDS * 200) * 5 * MS
    on_wall = places[at // (250 * MS)] + rng.normal(0, 0.15, (at.size, 2))
    across = 0.5 + (on_wall[:, 0] - head(at / SECOND)) / FIELD[0]
    down = 0.5 + on_wall[:, 1] / FIELD[1]
    rows = zip(at.tolist(), across.tolist(), down.tolist(), strict=True)
    return [GazeSample(t, t, x, y) for t, x, y in rows], np.arange(24)[:, None] * 250 * MS + (
        0,
        245 * MS,
    )


def found(samples, marks):
    rule = AdaptiveRule(FIELD)
    events = sorted([*samples, *marks], key=lambda event: event.captured_at)
    closed = [each for event in events if (each := rule.feed(event)) is not None]
    closed.append(rule.flush())
    return np.array([(each.started_at, each.ended_at) for each in closed if each is not None])


def test_the_flow_is_that_of_the_head(marks):
    assert marks[0].flow is None
    for earlier, later in itertools.pairwise(marks):
        seconds = np.array([earlier.captured_at, later.captured_at]) / SECOND
        true = -np.diff(head(seconds))[0] / FIELD[0] / np.diff(seconds)[0]
        assert later.flow == pytest.approx((true, 0), abs=0.03)  # of up to 1.0 a second


def test_fixations_on_a_world_that_sweeps_by_need_its_flow(eyes, marks):
    """The eyes stay on things while the head turns (the vestibulo-ocular reflex)."""
    samples, true = eyes
    with_flow = found(samples, marks)
    assert len(matched(with_flow, true)) >= 21
    assert len(with_flow) <= 26
    without = found(samples, [])
    assert len(matched(without, true)) <= len(matched(with_flow, true)) - 6


def test_eyes_on_one_thing_while_the_head_turns_make_one_fixation(marks):
    rng = np.random.default_rng(6)
    at = np.arange(2 * 200) * 5 * MS
    across = 0.5 - head(at / SECOND) / FIELD[0] + rng.normal(0, 0.15, at.size) / FIELD[0]
    rows = zip(at.tolist(), across.tolist(), strict=True)
    samples = [GazeSample(t, t, x, 0.5) for t, x in rows]
    until = [mark for mark in marks if mark.captured_at <= at[-1]]
    ((start, end),) = found(samples, until)
    assert start <= 40 * MS and end >= 1980 * MS
    assert len(found(samples, [])) > 1


def test_steps_see_the_same_flow_however_frames_and_gaze_are_delivered(eyes, frames):
    samples, _ = eyes
    rng = np.random.default_rng(7)
    everything = [
        replace(sample, captured_at=START + sample.captured_at)
        for sample in sorted([*samples, *frames], key=lambda sample: sample.captured_at)
        if sample.captured_at < 4 * SECOND
    ]
    plans = []
    for mean_delay in (0, 1, 30):
        planner = StepPlanner(
            FrameTimeline(SIDE, SIDE, 2.0), GazeTimeline(AdaptiveRule(FIELD), 0.1, 0.25), 2.0
        )
        delays = {
            kind: rng.integers(0, mean_delay + 1, len(everything))
            for kind in (GazeSample, SceneFrame)
        }
        order, newest = [], {GazeSample: 0, SceneFrame: 0}
        for index, sample in enumerate(everything):
            late = sample.captured_at + int(delays[type(sample)][index]) * MS
            newest[type(sample)] = max(newest[type(sample)] + 1, late)  # none overtakes its like
            order.append((newest[type(sample)], index))
        reached, seen = {GazeSample: START - 1, SceneFrame: START - 1}, []
        for arrival, index in sorted(order):
            sample = everything[index]
            reached[type(sample)] = sample.captured_at
            planner.receive(Delivery((sample,), reached[SceneFrame], reached[GazeSample]), arrival)
            seen += planner.due(planner.known_until)
        plans.append([(plan.time, plan.gaze) for plan in seen])
    assert plans[0] == plans[1][: len(plans[0])] and plans[0] == plans[2][: len(plans[0])]
    assert sum(bool(gaze.fixations) for _, gaze in plans[0]) >= 3


def test_nothing_to_follow_is_no_flow():
    motion, flat = SceneMotion(), np.full((90, 120, 3), 90, np.uint8)
    rng = np.random.default_rng(8)
    assert [motion.follow(flat, at * 33 * MS) for at in range(3)] == [None] * 3
    noise = rng.integers(0, 256, (2, 60, 80, 3)).astype(np.uint8)
    assert motion.follow(noise[0], 200 * MS) is None, "another size"
    assert motion.follow(noise[0], 600 * MS) is None, "after a pause"
    assert motion.follow(noise[0], 633 * MS) == (0.0, 0.0)


def test_the_runtime_starts_without_opencv():
    line = "import sys, runtime.live; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0
