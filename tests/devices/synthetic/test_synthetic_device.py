"""The synthetic wearer as a device, on a simulated clock."""

import time

import numpy as np
import pytest

from devices.clock import NANOSECONDS, SimulatedClock
from devices.device import DeviceError
from devices.samples import Blink, GazeSample, KnownQuestion, SceneFrame
from devices.synthetic.device import ASKED_TASKS, HORIZON, SyntheticDevice
from devices.synthetic.eyes import GAZE_RATE
from devices.synthetic.questions import FIX, GSM, NFI
from devices.synthetic.wearer import Wearer

START = 1_700_000_000 * NANOSECONDS


def play(seed, seconds, tick=0.05, **more):
    """All samples of a wearer, the device still open."""
    clock = SimulatedClock(START)
    device = SyntheticDevice(seed, seconds, clock, **more)
    device.connect()
    samples, ended = [], False
    while not ended:
        delivery = device.poll()
        samples += delivery.samples
        ended = delivery.ended
        clock.sleep_until(clock.now() + round(tick * NANOSECONDS))
    return device, samples


def of_kind(samples, kind):
    return [sample for sample in samples if isinstance(sample, kind)]


def test_rates_order_and_counts():
    device, samples = play(1, 3.0)
    frames, gaze = of_kind(samples, SceneFrame), of_kind(samples, GazeSample)
    assert len(frames) == 3 * 30 + 1
    assert len(gaze) == 3 * 200 + 1
    assert [frame.index for frame in frames] == list(range(91))
    assert all(np.diff([frame.captured_at for frame in frames]) > 0)
    assert frames[30].captured_at == START + NANOSECONDS
    assert gaze[200].captured_at == START + NANOSECONDS
    counts = device.counts()
    assert (counts.frames.received, counts.frames.delivered) == (91, 91)
    assert (counts.gaze.received, counts.gaze.delivered) == (601, 601)


def test_nothing_is_delivered_before_it_is_captured():
    clock = SimulatedClock(START)
    device = SyntheticDevice(2, 5.0, clock)
    device.connect()
    for _ in range(60):
        delivery = device.poll()
        now = clock.now()
        assert all(sample.captured_at <= now == sample.arrived_at for sample in delivery.samples)
        assert delivery.frames_until == delivery.gaze_until == now
        clock.sleep_until(now + 7_000_000)


def test_the_same_seed_gives_the_same_stream_however_it_is_polled():
    _, often = play(4, 2.0, tick=0.01)
    _, seldom = play(4, 2.0, tick=0.13)
    for kind in (SceneFrame, GazeSample, Blink):
        one, other = of_kind(often, kind), of_kind(seldom, kind)
        assert [each.captured_at for each in one] == [each.captured_at for each in other]
    for one, other in zip(of_kind(often, SceneFrame), of_kind(seldom, SceneFrame), strict=True):
        assert np.array_equal(one.pixels, other.pixels)
    _, another = play(5, 2.0)
    first, second = of_kind(often, SceneFrame)[0], of_kind(another, SceneFrame)[0]
    assert not np.array_equal(first.pixels, second.pixels)


def test_frames_are_read_only_pictures():
    _, samples = play(1, 0.2)
    frame = of_kind(samples, SceneFrame)[0]
    assert frame.pixels.shape == (336, 336, 3)
    assert frame.pixels.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0, 0] = 1


def test_questions_fall_on_time_and_know_what_is_looked_at():
    device, samples = play(3, 31.0, question_every=5.0)
    asked = of_kind(samples, KnownQuestion)
    assert len(asked) >= 5
    for question in asked:
        assert question.captured_at >= START + 2.5 * NANOSECONDS
        name = device.looked_at(question.captured_at)
        if question.task in ASKED_TASKS:
            assert right_option(question) in (name, *name.split(" "))


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_questions_about_the_past_are_about_what_was_looked_at(seed):
    device, samples = play(seed, 55.0, tick=2.0, question_every=3.0)
    asked = [each for each in of_kind(samples, KnownQuestion) if each.task not in ASKED_TASKS]
    assert asked
    for question in asked:
        looks = looks_until(device, question.captured_at)
        right = right_option(question)
        wrong = set(question.options) - {right}
        if question.task == FIX:
            assert right in looks[:-1]
            assert not wrong & set(looks)
        elif question.task == NFI:
            assert right not in looks
            assert wrong <= set(looks)
        elif question.task == GSM:
            assert right == ", ".join(looks[-3:])
        else:
            (asked_about,) = (name for name in set(looks) if name in question.text)
            assert looks[looks.index(asked_about) + 1] == right


def looks_until(device, moment):
    """The names of what was looked at since the start, one after the other."""
    looks = []
    for at in range(START, moment + 1, NANOSECONDS // 50):
        name = device.looked_at(at)
        if name is not None and looks[-1:] != [name]:
            looks.append(name)
    return looks


def right_option(question):
    return question.options["ABCD".index(question.answer)]


def test_no_questions_where_none_are_wanted():
    _, samples = play(3, 6.0, question_every=None)
    assert not of_kind(samples, KnownQuestion)


def test_the_alert_names_a_thing_that_is_looked_at_and_is_not_always():
    device, _ = play(6, 1.0)
    alert = device.known_alert
    assert alert.text == f"Tell me when I look at the {alert.target}."
    looked = [
        device.looked_at(START + round(second * NANOSECONDS)) for second in np.arange(0, 30, 0.1)
    ]
    assert 0 < looked.count(alert.target) < len(looked)


def test_closed_eyes_are_told_twice_over_and_look_at_nothing():
    device, samples = play(2, 25.0, question_every=None)
    blinks = of_kind(samples, Blink)
    assert blinks
    closed = [each.captured_at for each in of_kind(samples, GazeSample) if not each.worn]
    inside = [
        moment
        for moment in closed
        if any(blink.started_at <= moment < blink.ended_at for blink in blinks)
    ]
    assert closed == inside
    assert device.looked_at(closed[0]) is None


def test_a_late_poll_drops_old_frames_and_counts_them():
    clock = SimulatedClock(START)
    device = SyntheticDevice(1, None, clock)
    device.connect()
    clock.sleep_until(START + 2 * NANOSECONDS)
    frames = of_kind(device.poll().samples, SceneFrame)
    assert [frame.index for frame in frames] == list(range(53, 61))
    counts = device.counts().frames
    assert counts.received == counts.delivered + counts.dropped["late"] == 61


def test_the_first_sample_comes_at_once():
    began = time.monotonic()
    device = SyntheticDevice(9)
    device.connect()
    assert device.poll().samples
    assert time.monotonic() - began < 2.0  # a fraction of that on an idle machine


def test_misuse_is_said_in_one_line():
    with pytest.raises(DeviceError, match="connect first"):
        SyntheticDevice(1).poll()
    with pytest.raises(DeviceError, match="more than 0 seconds"):
        SyntheticDevice(1, seconds=0)
    with pytest.raises(DeviceError, match="more than 0 seconds"):
        SyntheticDevice(1, question_every=-1)
    device = SyntheticDevice(1)
    device.connect()
    device.disconnect()
    device.disconnect()
    assert device.counts().frames.received == 0
    with pytest.raises(DeviceError, match="connect first"):
        device.poll()


def test_an_endless_wearer_keeps_a_minute_or_two_and_delivers_what_it_would_have():
    """Compared with eyes that keep everything, and with what they were looking at."""
    clock = SimulatedClock(START)
    device = SyntheticDevice(4, None, clock, question_every=45.0)
    everything = Wearer(4, HORIZON).eyes
    known = everything.track(300.0)
    with device:
        for second in range(0, 300, 4):
            clock.sleep_until(START + second * NANOSECONDS)
            for sample in of_kind(device.poll().samples, GazeSample):
                tick = (sample.captured_at - START) * 200 // NANOSECONDS
                assert (sample.x, sample.y) == (known.x[tick], known.y[tick])
                assert sample.worn == known.open[tick]
            for back in (0, 30, 55):
                at = clock.now() - back * NANOSECONDS
                dwell = everything.dwell_at(second - back)
                seen = device.looked_at(at)
                assert seen is None or dwell.thing is not None
                assert (seen is None) == (
                    second < back
                    or dwell is None
                    or dwell.thing is None
                    or not known.open[(second - back) * 200]
                )
        eyes = device._stream._wearer.eyes
        assert eyes.track(300.0).x.size <= 2 * (60 + 45 + 10) * 200
        assert len(eyes.dwells) < 75
        assert device.looked_at(START + NANOSECONDS) is None


def test_gaze_reaches_every_moment_that_is_a_tick_of_its_own():
    eyes = Wearer(0, 60.0).eyes
    for tick in range(60 * GAZE_RATE):
        track = eyes.track(tick * (NANOSECONDS // GAZE_RATE) / NANOSECONDS)
        assert track.first + track.x.size > tick
