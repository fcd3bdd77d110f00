"""Limits at exactly their value: each belongs to the side that its description says."""

import pytest

from devices.samples import GazeSample
from runtime.answers.alerts import AlertRule, StandingAlert
from runtime.stream.fixation_rules import DispersionRule, VelocityRule
from runtime.stream.gaze_timeline import GazeTimeline
from runtime.stream.segments import FrameMark

MS, SECOND = 1_000_000, 1_000_000_000
START = 1_700_000_000 * SECOND


def looked(rule, at, x, y=0.5):
    rule.feed(GazeSample(at, at, x, y))
    return rule.feed(FrameMark(at))


@pytest.mark.parametrize(("beyond", "stays"), [(0.0, True), (2**-40, False)])
def test_a_point_at_exactly_the_radius_belongs_to_the_fixation(beyond, stays):
    rule = DispersionRule(radius=0.125, gaze_age_limit=0.25, least=0.0)
    looked(rule, START, 0.5)
    looked(rule, START + 33 * MS, 0.625 + beyond)
    (fixation,) = rule.active(START + 33 * MS, 0.0)
    assert (fixation.started_at == START) == stays


@pytest.mark.parametrize(("share", "goes_on"), [(1.0, True), (1.0 - 2**-40, False)])
def test_eyes_at_exactly_the_velocity_limit_still_rest(share, goes_on):
    """A quarter of 1024 pixels within three samples of 5 ms."""
    rule = VelocityRule(1024, 768, limit=share * (256 / 0.015))
    times = [START + index * 5 * MS for index in range(7)]
    for at in times[:4]:
        rule.feed(GazeSample(at, at, 0.25, 0.5))
    rule.feed(GazeSample(times[4], times[4], 0.5, 0.5))
    assert bool(rule.active(times[4], 0.0)) == goes_on


@pytest.mark.parametrize(("late", "usable"), [(0, True), (1, False)])
def test_gaze_of_exactly_the_greatest_age_still_counts(late, usable):
    gaze = GazeTimeline(VelocityRule(160, 120), min_open=0.1, gaze_age_limit=0.25)
    gaze.add(GazeSample(START, START, 0.5, 0.5))
    assert gaze.view(START + 250 * MS + late).usable == usable


def raised(rule, *judged):
    alert = StandingAlert("Tell me", rule)
    return [alert.judge(chance, START + round(at * SECOND)) for chance, at in judged]


def test_an_alert_is_raised_at_exactly_its_threshold():
    rule = AlertRule(threshold=0.5, release=0.4, interval=3.0)
    assert raised(rule, (0.5, 0)) == [True]
    assert raised(rule, (0.4999, 0)) == [False]


def test_an_alert_is_released_at_exactly_its_release():
    rule = AlertRule(threshold=0.5, release=0.4, interval=0.0)
    assert raised(rule, (0.9, 0), (0.4, 1), (0.9, 2)) == [True, False, True]
    assert raised(rule, (0.9, 0), (0.4001, 1), (0.9, 2)) == [True, False, False]


def test_an_alert_is_raised_again_after_exactly_its_interval():
    rule = AlertRule(threshold=0.5, release=0.4, interval=3.0)
    assert raised(rule, (0.9, 0), (0.1, 1), (0.9, 3.0)) == [True, False, True]
    assert raised(rule, (0.9, 0), (0.1, 1), (0.9, 2.999)) == [True, False, False]
