"""A live device whose fixations lack the wearer's offset: they are put where its gaze is."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from playing_phone import QUICK

from devices.device import Delivery
from devices.emulator.emulator import Emulator
from devices.emulator.programmes.drawn import draw_test_card
from devices.emulator.programmes.programme import EyeEvent, GazePoint
from devices.neon import wire
from devices.neon.device import NeonDevice
from devices.optics.offset import OffsetWatch
from devices.samples import Blink, Fixation, GazeSample

MILLISECOND = 1_000_000
OFFSET = (0.017, -0.011)  # of the frame: 1.9 degrees


def looking(offset, fixations=6, gaze_in_each=60):
    """Deliveries of a wearer who looks here and there; events come 100 ms late, without offset."""
    rng = np.random.default_rng(3)
    deliveries, means, at = [], [], 10**18
    for _ in range(fixations):
        place = rng.uniform(0.2, 0.8, 2)
        points = place + rng.normal(0, 0.003, (gaze_in_each, 2))
        times = [at + n * 5 * MILLISECOND for n in range(gaze_in_each)]
        gaze = [
            GazeSample(t, t, float(x + offset[0]), float(y + offset[1]))
            for t, (x, y) in zip(times, points, strict=True)
        ]
        x, y = points.mean(axis=0).tolist()
        late = times[-1] + 100 * MILLISECOND
        event = Fixation(times[-1], late, x, y, times[0], times[-1], "device")
        means.append((x + offset[0], y + offset[1]))
        deliveries += [Delivery(tuple(gaze), late, late), Delivery((event,), late, late)]
        at = late + 50 * MILLISECOND
    return deliveries, means


def played(deliveries):
    watch = OffsetWatch(1600, 1200, 103.0)
    put_right = [watch.put_right(each) for each in deliveries]
    samples = [sample for each in put_right for sample in each.samples]
    return samples, [notice for each in put_right for notice in each.notices]


def test_centres_come_to_lie_on_their_gaze_and_that_is_said_once():
    deliveries, means = looking(OFFSET)
    samples, notices = played(deliveries)
    found = [(each.x, each.y) for each in samples if isinstance(each, Fixation)]
    for fixation, mean in list(zip(found, means, strict=True))[2:]:
        assert fixation == pytest.approx(mean, abs=1e-6)
    assert found[0] == pytest.approx((means[0][0] - 0.017, means[0][1] + 0.011))  # not known yet
    (line,) = notices
    assert "lay 1.9 degrees from its own gaze" in line


def test_a_device_whose_centres_lie_on_its_gaze_is_left_alone():
    deliveries, _ = looking((0.0, 0.0))
    samples, notices = played(deliveries)
    assert samples == [sample for each in deliveries for sample in each.samples]
    assert notices == []


def test_a_fixation_without_gaze_of_its_own_is_moved_like_the_others():
    deliveries, _ = looking(OFFSET)
    alone = Fixation(10**17 + 9, 10**17 + 9, 0.5, 0.5, 10**17, 10**17 + 9, "device")
    onset = Fixation(10**18, 10**18, 0.5, 0.5, 10**18, None, "device")
    blink = Blink(9, 9, 1, 9)
    samples, _ = played([*deliveries, Delivery((alone, onset, blink), 0, 0)])
    assert (samples[-3].x, samples[-3].y) == pytest.approx((0.517, 0.489))
    assert samples[-2:] == [onset, blink]  # an onset has the offset already


@pytest.mark.realtime
def test_a_phone_with_an_old_app_is_put_right():
    """The emulated phone streams gaze with the wearer's offset, and means without it."""
    card = draw_test_card(seconds=2.0, width=320, height=240, key_frame_spacing=6)
    places = [(60.0, 50.0), (200.0, 90.0), (120.0, 180.0), (250.0, 200.0)]
    gaze = [
        GazePoint(n * 5 * MILLISECOND, places[n // 100][0] + 20, places[n // 100][1] - 12)
        for n in range(400)
    ]
    events = [
        EyeEvent(
            (n * 500 + 430) * MILLISECOND,
            wire.FIXATION,
            (n * 500 + 20) * MILLISECOND,
            (n * 500 + 400) * MILLISECOND,
            place,
        )
        for n, place in enumerate(places)
    ]
    programme = replace(card, gaze=tuple(gaze), events=tuple(events))
    closed, notices = [], []
    with Emulator(programme, settings=QUICK) as phone:
        device = NeonDevice(phone.address, phone.port)
        end = time.monotonic() + 10
        with device:
            while len(closed) < 6 and time.monotonic() < end:
                delivery = device.poll()
                notices += delivery.notices
                closed += [s for s in delivery.samples if isinstance(s, Fixation) and s.ended_at]
                time.sleep(0.01)
    assert len(closed) >= 6, notices
    expected = [(x + 20, y - 12) for x, y in places]
    for fixation in closed[3:]:
        at = fixation.x * 320, fixation.y * 240
        assert min(math.dist(at, place) for place in expected) < 0.01
    assert len([line for line in notices if "degrees from its own gaze" in line]) == 1
