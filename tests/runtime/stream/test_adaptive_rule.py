"""The rule that follows noise and head motion: a real tracker's own fixations, and drawn eyes."""

import copy
import json

import numpy as np
import pytest
from fixation_agreement import kappa, matched

from devices.samples import Blink, GazeSample
from runtime.stream.adaptive_rule import AdaptiveRule
from runtime.stream.fixation_rules import VelocityRule
from runtime.stream.local_motion import local_motion
from runtime.stream.segments import FrameMark

MS = 1_000_000
SECOND = 1_000_000_000
NEON = 103.0, 77.0


def gaze(at, x=0.5, y=0.5, worn=True):
    return GazeSample(at, at, x, y, worn)


def spans(rule, events):
    """(n, 4): start, end, x, y of the fixations that are closed."""
    closed = [found for event in events if (found := rule.feed(event)) is not None]
    if (last := rule.flush()) is not None:
        closed.append(last)
    return np.array([(each.started_at, each.ended_at, each.x, each.y) for each in closed])


@pytest.fixture
def clip(shared_data):
    """Nine seconds of Neon: gaze, and the device's fixations (start, end, x, y in pixels)."""
    folder = shared_data / "neon-fixations"
    times = np.fromfile(folder / "gaze ps1.time", "<i8")
    points = np.fromfile(folder / "gaze ps1.raw", "<f4").reshape(-1, 2).astype(float)
    rows = np.fromfile(folder / "fixations ps1.raw", "<i4, <i8, <i8, 6<f4, 4<f4")
    rows = rows[rows["f0"] == 1]
    centres = rows["f3"][:, 4:6] + json.loads((folder / "info.json").read_text())["gaze_offset"]
    return times, points, np.column_stack([rows["f1"], rows["f2"], centres])


def samples_of(times, points):
    places = points / (1600, 1200)
    return [gaze(int(at), *place) for at, place in zip(times, places.tolist(), strict=True)]


def test_a_real_wearers_fixations_are_found_as_the_device_finds_them(clip):
    times, points, device = clip
    found = spans(AdaptiveRule(NEON), samples_of(times, points))
    pairs = matched(found[:, :2], device[:, :2])
    assert len(device) == 23 and len(found) <= 26
    assert len(pairs) >= 19
    assert kappa(found[:, :2], device[:, :2], times) >= 0.65
    apart = found[pairs[:, 0], 2:] * (1600, 1200) - device[pairs[:, 1], 2:]
    assert np.median(np.hypot(*apart.T)) <= 5
    before = spans(VelocityRule(1600, 1200), samples_of(times, points))
    assert len(matched(before[:, :2], device[:, :2])) < 10


def test_the_quadratic_is_that_of_least_squares():
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.integers(4 * MS, 7 * MS, 7))
    points = rng.uniform(0, 1, (7, 2))
    samples = [gaze(int(at), *point) for at, point in zip(times, points.tolist(), strict=True)]
    for centre in range(7):
        motion = local_motion(samples, centre, NEON)
        seconds = (times - times[centre]) / SECOND
        x, y = (np.polynomial.Polynomial.fit(seconds, points[:, k] * NEON[k], 2) for k in (0, 1))
        expected = x(0), y(0), x.deriv()(0), y.deriv()(0)
        np.testing.assert_allclose(
            (motion.x, motion.y, motion.across, motion.down), expected, rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize(("rate", "behind"), [(200, 15), (120, 16.7), (60, 16.7), (30, 33.3)])
def test_what_is_known_lies_a_stated_time_behind(rate, behind):
    rule = AdaptiveRule(NEON)
    times = [round(index * SECOND / rate) for index in range(rate)]
    for at in times:
        rule.feed(gaze(at))
    (fixation,) = rule.active(times[-1], 0.1)
    assert (times[-1] - fixation.captured_at) / MS == pytest.approx(behind, abs=0.1)
    assert fixation.started_at / MS == pytest.approx(behind, abs=0.1)
    assert fixation.ended_at is None and fixation.source == "adaptive"


def steps(*stays, rate=200):
    """Gaze that stays so many ms at each of the places (x as a fraction of the frame)."""
    at, events = 0, []
    for milliseconds, x in stays:
        for _ in range(round(milliseconds * rate / 1000)):
            events.append(gaze(at, x))
            at += round(SECOND / rate)
    return events


def test_a_small_excursion_is_bridged_and_a_saccade_is_not():
    degree = 1 / NEON[0]
    back = spans(AdaptiveRule(NEON), steps((300, 0.5), (5, 0.5 + 3 * degree), (300, 0.5)))
    assert len(back) == 1 and back[0, 1] - back[0, 0] > 550 * MS
    away = spans(AdaptiveRule(NEON), steps((300, 0.5), (300, 0.5 + 6 * degree)))
    assert len(away) == 2
    assert 280 * MS <= away[0, 1] <= 300 * MS <= away[1, 0] <= 320 * MS
    brief = spans(AdaptiveRule(NEON), steps((300, 0.3), (60, 0.5), (300, 0.7)))
    assert len(brief) == 2, "what lasts less than 70 ms is none"


def test_the_limit_follows_noise():
    """The same eyes, one tracker three times as noisy: neither falls into pieces."""
    rng = np.random.default_rng(2)
    places = rng.uniform(0.2, 0.8, (20, 2))
    for degrees in (0.2, 0.6):
        noise = rng.normal(0, degrees, (20 * 60, 2)) / NEON
        points = places.repeat(60, axis=0) + noise
        events = [gaze(i * 5 * MS, *point) for i, point in enumerate(points.tolist())]
        true = np.arange(20)[:, None] * 300 * MS + (0, 295 * MS)
        found = spans(AdaptiveRule(NEON), events)
        assert len(matched(found[:, :2], true)) >= 18, degrees
        assert len(found) <= 21


@pytest.mark.parametrize(("milliseconds", "fixations"), [(15, 1), (40, 2)])
def test_lost_pupils_of_a_moment_are_bridged(milliseconds, fixations):
    events = steps((500, 0.5))
    events = [
        gaze(e.captured_at, worn=not 200 * MS <= e.captured_at < (200 + milliseconds) * MS)
        for e in events
    ]
    assert len(spans(AdaptiveRule(NEON), events)) == fixations


def test_a_blink_that_becomes_known_late_takes_back_what_was_made_of_closed_eyes():
    rule = AdaptiveRule(NEON)
    for event in steps((300, 0.2), (200, 0.9), (200, 0.2)):
        rule.feed(event)
    before = rule.active(695 * MS, 0.1)
    assert before[0].started_at < 520 * MS
    assert rule.feed(Blink(700 * MS, 700 * MS, 300 * MS, 560 * MS)) is None
    (after,) = rule.active(700 * MS, 0.1)
    assert 560 * MS < after.started_at < 570 * MS
    assert after.x == pytest.approx(0.2)


def test_a_blink_within_a_fixation_ends_it_when_the_eyes_closed():
    rule = AdaptiveRule(NEON)
    for event in steps((300, 0.4), (100, 0.405)):
        rule.feed(event)
    closed = rule.feed(Blink(450 * MS, 450 * MS, 300 * MS, 390 * MS))
    assert (closed.started_at, closed.ended_at) == (15 * MS, 300 * MS)
    assert closed.x == pytest.approx(0.4)


def test_a_copy_is_independent():
    rule = AdaptiveRule(NEON)
    events = steps((300, 0.3), (300, 0.6), (300, 0.3))
    for event in events[:100]:
        rule.feed(event)
    kept = rule.active(495 * MS, 0.1)
    ahead = copy.copy(rule)
    for event in [*events[100:], FrameMark(900 * MS, (3.0, 3.0))]:
        ahead.feed(event)
    assert rule.active(495 * MS, 0.1) == kept
    for event in [*events[100:], FrameMark(900 * MS, (3.0, 3.0))]:
        rule.feed(event)
    assert rule.active(900 * MS, 0.1) == ahead.active(900 * MS, 0.1) != kept
