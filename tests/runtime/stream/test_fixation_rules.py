"""Fixation rules: the offline rule they stand for, and what they know while gaze is coming in."""

import copy
import csv
import itertools

import numpy as np
import pytest

from devices.samples import Blink, Fixation, GazeSample
from runtime.stream.fixation_rules import (
    DeviceRule,
    DispersionRule,
    FileRule,
    FrameMark,
    VelocityRule,
)

SECOND = 1_000_000_000
MS = 1_000_000


def gaze(at, x, y, worn=True):
    return GazeSample(at, at, x, y, worn)


def streamgaze_offline(samples, radius, least):
    """The offline rule as STREAMGAZE describes it: (t, x, y) -> (start, end, mean x, mean y)."""
    found, start = [], 0

    def keep(first, last):
        if samples[last][0] - samples[first][0] >= least:
            segment = np.array(samples[first : last + 1])
            found.append((segment[0, 0], segment[-1, 0], *segment[:, 1:].mean(axis=0)))

    for index in range(1, len(samples)):
        here, first = samples[index], samples[start]
        far = np.hypot(here[1] - first[1], here[2] - first[2]) > radius
        if far and here[0] - samples[index - 1][0] > 0.01:
            keep(start, index - 1)
            start = index
    keep(start, len(samples) - 1)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_dispersion_one_sample_at_a_time_equals_the_offline_rule(seed):
    rng = np.random.default_rng(seed)
    samples, x, y = [], 0.5, 0.5
    for frame in range(900):
        if rng.random() < 0.015:
            x, y = rng.uniform(0, 1, 2)
        samples.append((frame / 24, x + rng.normal(0, 0.02), y + rng.normal(0, 0.02)))
    rule = DispersionRule(radius=0.15, gaze_age_limit=0.25)
    closed = []
    for t, x, y in samples:
        at = round(t * SECOND)
        closed += [rule.feed(gaze(at, x, y)), rule.feed(FrameMark(at))]
    closed.append(rule.flush())
    ours = [(c.started_at / SECOND, c.ended_at / SECOND, c.x, c.y) for c in closed if c is not None]
    theirs = streamgaze_offline(samples, 0.15, 2.0)
    assert len(ours) == len(theirs) > 2
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_dispersion_takes_one_point_per_frame_and_only_a_fresh_one():
    rule = DispersionRule(radius=0.1, gaze_age_limit=0.25, least=0.0)
    for step in range(10):
        rule.feed(gaze(step * 5 * MS, 0.5, 0.5))
    assert rule.active(50 * MS, 0.0) == ()
    rule.feed(FrameMark(50 * MS))
    rule.feed(FrameMark(300 * MS))  # the newest gaze is 255 ms old
    (only,) = rule.active(300 * MS, 0.0)
    assert (only.started_at, only.captured_at) == (50 * MS, 50 * MS)


def test_an_open_fixation_counts_once_it_has_lasted_and_with_the_mean_so_far():
    rule = VelocityRule(1600, 1200)
    xs = [0.500, 0.501, 0.499, 0.500, 0.502, 0.498]
    for index, x in enumerate(xs * 5):
        rule.feed(gaze(index * 5 * MS, x, 0.25))
    # Velocity is known from the fourth sample on: the fixation begins there.
    assert rule.active(145 * MS, 0.131) == ()
    (fixation,) = rule.active(145 * MS, 0.130)
    assert fixation.started_at == 15 * MS
    assert fixation.ended_at is None
    assert fixation.x == pytest.approx(np.mean((xs * 5)[3:]))


def saccades(rng, count):
    """Fixations of 150 to 400 ms at places far apart, and the gaze between at 200 Hz."""
    at, places, samples = 0, [], []
    for _ in range(count):
        place = rng.uniform(0.1, 0.9, 2)
        while places and np.hypot(*((place - places[-1][0]) * (1600, 1200))) < 300:
            place = rng.uniform(0.1, 0.9, 2)
        if places:
            for share in (0.25, 0.5, 0.75):
                between = places[-1][0] + share * (place - places[-1][0])
                samples.append((at, *between))
                at += 5 * MS
        start = at
        for _ in range(int(rng.integers(30, 80))):
            samples.append((at, *(place + rng.normal(0, 0.0006, 2))))
            at += 5 * MS
        places.append((place, start, at - 5 * MS))
    return samples, places


@pytest.mark.parametrize("seed", range(3))
def test_velocity_finds_every_fixation_within_20_ms(seed):
    samples, places = saccades(np.random.default_rng(seed), 25)
    rule = VelocityRule(1600, 1200)
    closed = [found for s in samples if (found := rule.feed(gaze(*s)))]
    closed.append(rule.flush())
    assert len(closed) == len(places)
    for fixation, (place, start, end) in zip(closed, places, strict=True):
        assert abs(fixation.started_at - start) <= 20 * MS
        assert abs(fixation.ended_at - end) <= 20 * MS
        assert np.hypot(fixation.x - place[0], fixation.y - place[1]) < 0.01


def test_velocity_drops_what_is_shorter_than_70_ms():
    rule = VelocityRule(1600, 1200)
    for index in range(12):
        rule.feed(gaze(index * 5 * MS, 0.5, 0.5))
    assert rule.feed(gaze(60 * MS, 0.9, 0.9)) is None
    assert rule.active(60 * MS, 0.0) == ()


def test_eyes_closed_end_a_fixation():
    for event in (gaze(200 * MS, 0.5, 0.5, worn=False), Blink(210 * MS, 210 * MS, 150 * MS, 0)):
        rule = VelocityRule(1600, 1200)
        for index in range(40):
            rule.feed(gaze(index * 5 * MS, 0.5, 0.5))
        closed = rule.feed(event)
        assert closed is not None
        assert closed.ended_at <= 195 * MS
        assert rule.active(210 * MS, 0.0) == ()


def test_device_events_with_the_mean_of_the_gaze_so_far():
    rule = DeviceRule()
    rule.feed(Fixation(0, 0, 0.2, 0.2, 0, None, "device"))
    for index, x in enumerate((0.3, 0.4), start=1):
        rule.feed(gaze(index * 100 * MS, x, 0.2))
    (open_one,) = rule.active(200 * MS, 0.1)
    assert open_one.x == pytest.approx(0.3)
    final = Fixation(300 * MS, 300 * MS, 0.31, 0.2, 0, 290 * MS, "device")
    assert rule.feed(final) is final
    assert rule.active(310 * MS, 0.1) == ()


def test_fixations_of_a_file_are_known_whole():
    rule = FileRule()
    first = Fixation(0, 0, 0.2, 0.2, 1 * SECOND, 3 * SECOND, "file", whole=True)
    second = Fixation(0, 0, 0.8, 0.8, 3 * SECOND, 5 * SECOND, "file", whole=True)
    rule.feed(first)
    rule.feed(second)
    assert rule.active(SECOND - 1, 0.1) == ()
    assert rule.active(1 * SECOND, 0.1) == (first,)  # min_open does not apply
    assert rule.active(3 * SECOND, 0.1) == (first, second)
    assert rule.active(6 * SECOND, 0.1) == ()


@pytest.mark.parametrize(
    "rule", [DispersionRule(0.1, 0.25), VelocityRule(1600, 1200), DeviceRule(), FileRule()]
)
def test_a_copy_is_independent(rule):
    """Looking ahead on a copy must not move the stream."""
    feed = [Fixation(0, 0, 0.5, 0.5, 0, None, "device")]
    for index in range(30):
        feed += [gaze(index * 10 * MS, 0.5, 0.5), FrameMark(index * 10 * MS)]
    for event in feed:
        rule.feed(event)
    before = rule.active(290 * MS, 0.0)
    ahead = copy.copy(rule)
    for index in range(30, 60):
        ahead.feed(gaze(index * 10 * MS, 0.9, 0.1))
        ahead.feed(FrameMark(index * 10 * MS))
    ahead.feed(Fixation(0, 0, 0.1, 0.1, 600 * MS, None, "device"))
    assert rule.active(290 * MS, 0.0) == before != ()


def test_the_real_fixation_file_follows_the_rule_it_was_made_by(shared_data):
    """Its fixations last 2 s or more and do not overlap."""
    path = shared_data / "streamgaze" / "OP03-R01-PastaSalad_fixation_filtered.csv"
    with path.open() as file:
        rows = [(float(r["start_time"]), float(r["end_time"])) for r in csv.DictReader(file)]
    assert all(end - start >= 2.0 for start, end in rows)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(rows))
