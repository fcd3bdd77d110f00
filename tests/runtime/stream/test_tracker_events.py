"""What trackers say of the eyes, late and in their own ways, taken as they mean it."""

import numpy as np
import pytest

from devices.device import Delivery
from devices.samples import Blink, Fixation, GazeSample, SceneFrame
from runtime.stream.fixation_rules import DeviceRule, DispersionRule, VelocityRule
from runtime.stream.frame_timeline import FrameTimeline
from runtime.stream.gaze_timeline import GazeTimeline
from runtime.stream.segments import FrameMark
from runtime.stream.steps import StepPlanner

SECOND = 1_000_000_000
MS = 1_000_000
START = 1_700_000_000 * SECOND


def gaze(at, x=0.5, worn=True):
    return GazeSample(at, at, x, 0.5, worn)


def onset(at, x=0.5, known=None):
    known = at if known is None else known
    return Fixation(known, known, x, 0.5, at, None, "device")


def ended(begin, end, x=0.5, known=None):
    known = end if known is None else known
    return Fixation(known, known, x, 0.5, begin, end, "device")


def blink(begin, end, known=None):
    known = end if known is None else known
    return Blink(known, known, begin, end)


def fed(rule, *events):
    """The rule, and what each event closed."""
    return rule, [closed for event in events if (closed := rule.feed(event)) is not None]


def test_a_fixation_that_began_within_a_blink_outlives_it():
    rule, closed = fed(
        DeviceRule(),
        *[gaze(at * MS) for at in range(2400, 2650, 5)],
        onset(2650 * MS),
        *[gaze(at * MS, 0.7) for at in range(2650, 2700, 5)],
        blink(2500 * MS, 2700 * MS),
        *[gaze(at * MS, 0.7) for at in range(2700, 3650, 5)],
    )
    assert closed == []
    (fixation,) = rule.active(3645 * MS, 0.1)
    assert fixation.started_at == 2650 * MS
    assert fixation.x == pytest.approx(0.7)


def test_a_blink_ends_the_fixation_from_before_it():
    looks = [gaze(at * MS, 0.4) for at in range(0, 500, 5)]
    shut = [gaze(at * MS, 0.9) for at in range(500, 700, 5)]
    rule, (closed,) = fed(DeviceRule(), onset(0, 0.4), *looks, *shut, blink(500 * MS, 700 * MS))
    assert (closed.started_at, closed.ended_at) == (0, 500 * MS)
    assert closed.x == pytest.approx(0.4), "gaze of closed eyes is none"
    assert rule.active(700 * MS, 0.1) == ()


def test_a_blink_known_late_leaves_what_began_after_it():
    rule, _ = fed(VelocityRule(1600, 1200), *[gaze(at * MS) for at in range(0, 600, 5)])
    assert rule.feed(blink(200 * MS, 300 * MS, known=600 * MS)).ended_at == 200 * MS
    (fixation,) = rule.active(600 * MS, 0.1)
    assert fixation.started_at == 305 * MS and fixation.ended_at is None


def test_an_end_known_late_does_not_end_what_began_since():
    late = ended(0, 300 * MS, known=450 * MS)
    rule, closed = fed(
        DeviceRule(),
        onset(0),
        *[gaze(at * MS) for at in range(0, 320, 5)],
        onset(320 * MS, 0.8),
        *[gaze(at * MS, 0.8) for at in range(320, 450, 5)],
        late,
    )
    assert closed[-1] is late
    (fixation,) = rule.active(450 * MS, 0.1)
    assert fixation.started_at == 320 * MS


def test_an_onset_known_late_has_the_gaze_since_it():
    looks = [gaze(at * MS, 0.2) for at in range(0, 200, 5)]
    looks += [gaze(at * MS, 0.6) for at in range(200, 400, 5)]
    rule, _ = fed(DeviceRule(), *looks, onset(200 * MS, 0.3, known=400 * MS))
    (fixation,) = rule.active(400 * MS, 0.1)
    assert fixation.started_at == 200 * MS and fixation.x == pytest.approx(0.6)
    assert rule.feed(onset(900 * MS, known=500 * MS)) is None, "from the future"
    assert rule.active(500 * MS, 0.1) == (fixation,)


def test_one_datum_over_two_streams_counts_once():
    rule, _ = fed(DeviceRule(), onset(0, 0.1), gaze(0, 0.1), gaze(5 * MS, 0.4), gaze(10 * MS, 0.4))
    (fixation,) = rule.active(10 * MS, 0.0)
    assert fixation.x == pytest.approx(0.30)
    rule, _ = fed(DeviceRule(), gaze(0, 0.1), onset(0, 0.1), gaze(5 * MS, 0.4), gaze(10 * MS, 0.4))
    assert rule.active(10 * MS, 0.0)[0].x == pytest.approx(0.30)


def growing(first, last, spacing, x=0.5, window=300):
    """What Core sends of one fixation: windows that slide on, each known at its end (all ms)."""
    return [
        ended((end - window) * MS, end * MS, x) for end in range(first + window, last + 1, spacing)
    ]


def test_growing_fixations_without_an_onset_are_one_that_lasts():
    rule = DeviceRule()
    events = [*growing(0, 900, 33, 0.3), *growing(1000, 1600, 33, 0.7)]
    closed, starts = [], {}
    for at in range(0, 2000, 5):
        while events and events[0].captured_at <= at * MS:
            closed.append(rule.feed(events.pop(0)))
        closed.append(rule.feed(gaze(at * MS)))
        for fixation in rule.active(at * MS, 0.1):
            assert fixation.ended_at is None
            starts.setdefault(fixation.started_at // MS, []).append(at)
    assert {start: (min(ats), max(ats)) for start, ats in starts.items()} == {
        0: (300, 990),  # the newest reached to 894; a message is waited for 100 ms
        1000: (1300, 1695),
    }
    kept = [(c.started_at // MS, c.ended_at // MS, c.x) for c in closed if c is not None]
    assert kept == [(0, 894, 0.3), (1000, 1597, 0.7)]


def test_glasses_off_between_two_looks_at_one_place_are_no_fixation():
    def looks(first, last):
        for at in range(first, last, 40):
            yield gaze(at * MS)
            yield FrameMark(at * MS)

    off = [
        event
        for at in range(1500, 9500, 40)
        for event in (gaze(at * MS, worn=False), FrameMark(at * MS))
    ]
    for between in (off, []):
        events = [*looks(0, 1500), *between, *looks(9500, 11000)]
        rule, closed = fed(DispersionRule(0.1, 0.25), *events)
        (fixation,) = rule.active(11000 * MS, 0.1)
        assert fixation.started_at == 9500 * MS
        assert closed == [] and rule.flush() is None, "neither look lasts two seconds"
    blinking = [*looks(0, 1500), *[gaze(at * MS, worn=False) for at in range(1500, 1700, 5)]]
    rule, _ = fed(DispersionRule(0.1, 0.25), *blinking, *looks(1700, 3000))
    assert rule.flush().started_at == 0, "a blink leaves a look whole"


def test_a_device_that_loses_the_eyes_for_long_is_not_still_fixating():
    rule, closed = fed(
        DeviceRule(),
        onset(0),
        *[gaze(at * MS) for at in range(0, 400, 5)],
        *[gaze(at * MS, worn=False) for at in range(400, 8400, 5)],
        *[gaze(at * MS) for at in range(8400, 8600, 5)],
    )
    assert [(each.started_at, each.ended_at) for each in closed] == [(0, 395 * MS)]
    assert rule.active(8595 * MS, 0.1) == ()


@pytest.mark.parametrize("late", [0, 40, 400])
def test_an_event_that_arrives_after_its_step_is_known_from_then_on(late):
    """A fixation of 1.0 s, told so many ms after it began, is there at 2 s; at 1 s it is not."""
    planner = StepPlanner(FrameTimeline(28, 28, 2.0), GazeTimeline(DeviceRule(), 0.1, 0.25), 2.0)
    event = onset(START + 960 * MS, 0.8)
    found = {}
    for at in range(0, 2500, 20):
        now = START + at * MS
        samples = [gaze(now, 0.8 if at >= 960 else 0.2)]
        if at % 40 == 0:
            samples.append(SceneFrame(now, now, at // 40, np.zeros((28, 28, 3), np.uint8)))
        if at == 960 + late:
            samples.append(event)
        planner.receive(Delivery(tuple(samples), now, now), now)
        found |= {(p.time - START) // MS: p.gaze.fixations for p in planner.due(now)}
    assert list(found) == [0, 1000, 2000] and found[1000] == ()
    (fixation,) = found[2000]
    assert fixation.started_at == event.started_at and fixation.x == pytest.approx(0.8)


def test_a_fixation_is_confirmed_once_though_pupils_are_lost_within_it():
    timeline = GazeTimeline(DeviceRule(), 0.1, 0.25)
    timeline.add(onset(0))
    for at in range(0, 500, 5):
        timeline.add(gaze(at * MS, worn=at % 200 != 150))
    assert timeline.confirmed(500 * MS) == [100 * MS]
