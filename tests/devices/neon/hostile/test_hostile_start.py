"""Beginnings that are legal and rare, or slow: nothing is lost without a cause."""

from dataclasses import replace

import pytest
from hostile_phone import HostilePhone, of_method, with_body
from playing_phone import QUICK, Watch, times_are_right

from devices.device import DeviceError
from devices.neon.device import NeonDevice

pytestmark = pytest.mark.realtime

NO_SPROP = of_method(
    "DESCRIBE",
    lambda answer: with_body(answer, lambda body: body.replace("sprop-parameter-sets", "x")),
    "world",
)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_parameters_that_come_before_the_key_frames_only(card, transport):
    with HostilePhone(in_band(card), settings=QUICK) as phone:
        phone.lies.answer = NO_SPROP
        device = NeonDevice(phone.address, phone.port, transport=transport)
        with device as info:
            assert (info.frame_width, info.frame_height) == (320, 240)
            watch = Watch(phone, device)  # which compares every pixel
            watch.wait(lambda: len(watch.frames) > 15 and len(watch.gaze) > 120)
            assert times_are_right(watch.frames) and times_are_right(watch.gaze)


def in_band(programme):
    pictures = tuple(
        replace(p, units=(*programme.parameters, *p.units)) if p.units[0][0] & 31 == 5 else p
        for p in programme.pictures
    )
    return replace(programme, pictures=pictures)


def test_a_phone_that_never_tells_the_size_is_one_clear_line(card, monkeypatch):
    monkeypatch.setattr("devices.neon.device.FIRST_SIZE_TIMEOUT", 0.5)
    with HostilePhone(card, settings=QUICK) as phone:
        phone.lies.answer = NO_SPROP
        with pytest.raises(DeviceError, match="does not tell the size of its pictures"):
            NeonDevice(phone.address, phone.port, transport="tcp").connect()


def test_an_honest_camera_that_answers_late_costs_no_gaze(card):
    with HostilePhone(card, settings=QUICK) as phone:
        phone.lies.delay = {("world", "DESCRIBE"): 0.7}
        device = NeonDevice(phone.address, phone.port, transport="tcp")
        with device:
            watch = Watch(phone, device).run(0.5)
            delivered = len(watch.gaze)
        counts = device.counts().gaze
        assert times_are_right(watch.gaze)
        # All that came while the camera was waited for is there, in order.
        assert set(watch.steps(watch.gaze, 400)) == {1}
        assert counts.received == delivered + sum(counts.dropped.values())
        # In half a second only 100 come: the others are those that waited.
        assert delivered > 130
        assert set(counts.dropped) <= {"before the first sender report", "run ended"}


def test_events_that_can_not_be_opened_are_done_without(card):
    with HostilePhone(card, settings=QUICK) as phone:
        phone.lies.answer = of_method("SETUP", lambda a: a.replace(b"200", b"500"), "eye_events")
        device = NeonDevice(phone.address, phone.port, transport="tcp")
        with device as info:
            assert not info.detects_fixations
            watch = Watch(phone, device)
            watch.wait(lambda: watch.frames and watch.gaze)
            assert watch.said("eye events: the phone answers SETUP with 500")


def test_a_source_that_setup_tells_is_taken_and_a_wrong_one_costs_a_reconnect(card):
    with HostilePhone(card, settings=QUICK) as phone:
        phone.lies.answer = of_method(
            "SETUP", lambda a: a.replace(b"=0-1", b"=0-1;ssrc=0000BAD0"), "gaze"
        )
        device = NeonDevice(phone.address, phone.port, transport="tcp")
        with device:
            watch = Watch(phone, device)
            watch.wait(lambda: len(watch.gaze) > 50 and watch.frames)
            assert watch.said("gaze: silent for 1.5 s") and times_are_right(watch.gaze)
