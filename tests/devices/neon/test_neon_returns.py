"""Neon's live path when the phone goes, comes back, or has something to say."""

import asyncio
import threading
import time
from contextlib import suppress

import pytest
from playing_phone import MS, QUICK, TOLERANCE, Watch, counts_add_up, playing, times_are_right

from devices.device import DeviceError
from devices.emulator.emulator import Emulator
from devices.emulator.faults import parse_faults
from devices.emulator.phone import Settings
from devices.emulator.programmes.drawn import draw_test_card
from devices.emulator.programmes.truth import Truth
from devices.neon import supervision
from devices.neon.device import NeonDevice
from devices.samples import SceneFrame

pytest.importorskip("pupil_labs.realtime_api")

pytestmark = pytest.mark.realtime


@pytest.mark.parametrize(
    ("fault", "transport"),
    [("refuse", "udp"), ("reset", "udp"), ("half-open", "udp"), ("unplugged", "udp"),
     ("reset", "tcp"), ("half-open", "tcp")],
)  # fmt: skip
def test_it_returns_within_two_seconds_of_the_phone(card, fault, transport):
    with playing(card, transport=transport) as watch:
        watch.wait(lambda: watch.frames and watch.gaze)
        length = {"reset": 0.0, "half-open": 2.0}.get(fault, 0.8)
        back_at = watch.emulator.elapsed() + length
        watch.emulator.inject(fault, seconds=max(length, 0.1))
        watch.run(length)
        frames, gaze = len(watch.frames), len(watch.gaze)
        watch.wait(lambda: len(watch.frames) > frames + 10 and len(watch.gaze) > gaze + 50)
        first = min(at for at, *_ in watch.gaze[gaze + 5 :])
        assert first - back_at < 2.0
        assert times_are_right(watch.frames) and times_are_right(watch.gaze)
        assert counts_add_up(watch.device) and counts_add_up(watch.device, "gaze")


def test_a_restarted_phone_with_other_ports_and_another_picture(card):
    other = draw_test_card(seconds=2.0, width=176, height=144, key_frame_spacing=6)
    with playing(card, after_restart=other) as watch:
        watch.wait(lambda: watch.frames and watch.gaze)
        back_at = watch.emulator.elapsed() + 0.6
        watch.emulator.inject("restart", seconds=0.6)
        watch.run(0.6)
        watch.truth = Truth(other, watch.emulator.started_at)
        frames, gaze = len(watch.frames), len(watch.gaze)
        watch.wait(lambda: len(watch.frames) > frames + 10 and len(watch.gaze) > gaze + 50)
        assert watch.gaze[gaze][0] - back_at < 2.0
        assert watch.frames[-1][3].pixels.shape == (144, 176, 3)
        _, index, error, sample = watch.gaze[-1]
        assert abs(error) < TOLERANCE
        point = other.gaze[index]
        assert (sample.x, sample.y) == (point.x / 176, point.y / 144)


def test_gaze_of_an_unknown_size_is_said_once_and_survived(card):
    with playing(card, "gaze-size=11@0.3+0.5") as watch:
        watch.run(1.3)
        assert len(watch.said("11 bytes")) == 1
        assert watch.device.counts().gaze.dropped["unknown gaze size"] > 50
        assert watch.gaze[-1][0] > 1.0 and times_are_right(watch.gaze)


def test_a_user_who_does_not_poll_costs_no_more_memory(card):
    with playing(card) as watch:
        watch.wait(lambda: watch.frames)
        time.sleep(1.5)
        counts = watch.device.counts()
        for stream, limit in ((counts.frames, 8), (counts.gaze, 400)):
            waiting = stream.received - stream.delivered - sum(stream.dropped.values())
            assert waiting <= limit + 2
        assert counts.frames.dropped["not polled in time"] > 20
        samples = watch.device.poll().samples
        frames = [s for s in samples if isinstance(s, SceneFrame)]
        assert len(frames) == 8
        assert watch.device.clock.now() - frames[-1].captured_at < 200 * MS


def test_a_defect_in_one_task_is_said_and_the_others_go_on(card, monkeypatch, capfd):
    def fail(*_):
        raise ValueError("a defect")

    with playing(card) as watch:
        watch.wait(lambda: watch.gaze)
        monkeypatch.setattr(watch.device._supervisor, "_look_at_loss", fail)
        watch.wait(lambda: watch.said("a defect"))
        watch.emulator.inject("reset")
        watch.wait(lambda: watch.said("scene camera: the phone closed") and watch.said("gaze: the"))
        frames, gaze = len(watch.frames), len(watch.gaze)
        watch.wait(lambda: len(watch.frames) > frames + 10 and len(watch.gaze) > gaze + 50)
        assert len(watch.said("a defect")) < 6
    assert capfd.readouterr().err == ""


def test_a_cancellation_that_a_library_swallows_does_not_hold_up_disconnecting(card, monkeypatch):
    refreshing = threading.Event()

    async def refresh_and_swallow():
        refreshing.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(30)

    with playing(card) as watch:
        watch.wait(lambda: watch.gaze)
        monkeypatch.setattr(watch.device._supervisor, "_refresh", refresh_and_swallow)
        watch.emulator.inject("reset", seconds=0.1)
        assert refreshing.wait(2)
        started = time.monotonic()
        watch.device.disconnect()
        assert time.monotonic() - started < 2.0


def test_a_low_battery_is_told(card, monkeypatch):
    monkeypatch.setattr(supervision, "STATUS_SPACING", 0.2)
    with playing(card) as watch:
        watch.run(0.1)
        phone = watch.emulator._phone
        phone.settings = Settings(battery=9, report_delay=0.05)
        watch.wait(lambda: watch.said("battery is LOW: 9 %"))
        assert watch.device.condition().battery_level == 9


def test_gaze_is_undistorted_where_that_is_asked_for(shared_data):
    from pupil_labs.neon_recording.calib import Calibration

    from devices.emulator.programmes.recorded import load_recording
    from devices.neon.undistortion import Lens

    programme = load_recording(shared_data / "neon-recording")
    calibration = Calibration.from_buffer(programme.calibration)
    lens = Lens.from_calibration(
        calibration.scene_camera_matrix, calibration.scene_distortion_coefficients
    )
    with Emulator(programme, settings=QUICK) as emulator:
        device = NeonDevice(emulator.address, emulator.port, undistort=True)
        with device:
            watch = Watch(emulator, device)
            watch.wait(lambda: watch.gaze)
        _, index, _, sample = watch.gaze[0]
    x, y = lens.undistorted(programme.gaze[index].x, programme.gaze[index].y)
    assert (sample.x, sample.y) == (x / 1600, y / 1200)
    assert (sample.x, sample.y) != (programme.gaze[index].x / 1600, programme.gaze[index].y / 1200)


def test_glasses_that_are_not_connected_are_one_clear_line(card):
    with (
        Emulator(card, parse_faults("unplugged")) as emulator,
        pytest.raises(DeviceError, match="connect the glasses"),
    ):
        NeonDevice(emulator.address, emulator.port).connect()


def test_undistorting_what_has_no_calibration_is_one_clear_line(card):
    with Emulator(card) as emulator, pytest.raises(DeviceError, match="leave gaze distorted"):
        NeonDevice(emulator.address, emulator.port, undistort=True).connect()
