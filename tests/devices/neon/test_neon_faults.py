"""Neon's live path under the faults of the emulated phone, over real sockets."""

import pytest
from playing_phone import MS, TOLERANCE, counts_add_up, playing, times_are_right

from devices.device import StaleSample
from devices.neon import stream
from devices.samples import Blink, Fixation, GazeSample, SceneFrame

pytest.importorskip("pupil_labs.realtime_api")

pytestmark = pytest.mark.realtime


@pytest.mark.parametrize("loss", [0.001, 0.01, 0.05, 0.1])
def test_loss_over_udp_is_counted_and_nothing_corrupt_is_delivered(card, loss):
    with playing(card, f"loss={loss}", seed=3) as watch:
        watch.run(2.2)
        assert len(watch.gaze) > (1 - 2 * loss) * 350
        assert times_are_right(watch.frames) and times_are_right(watch.gaze)
        assert counts_add_up(watch.device) and counts_add_up(watch.device, "gaze")
        frames = watch.device.counts().frames
        assert frames.delivered == len(watch.frames)
        assert frames.received >= 50
        if loss >= 0.05:
            assert frames.dropped["packet loss"] > 0
            assert watch.device.condition().loss == pytest.approx(loss, rel=0.6)
        assert watch.device.condition().transport == "udp"


def test_measured_loss_moves_the_device_to_tcp_and_it_says_so(card):
    with playing(card, "loss=0.02", transport=None, seed=3) as watch:
        changed_at = watch.wait(lambda: watch.said("changing to TCP"))
        assert watch.device.condition().transport == "tcp"
        watch.run(1.5)
        after = [frame for frame in watch.frames if frame[0] > changed_at + 0.5]
        assert len(after) > 20 and set(watch.steps(after, 60)) == {1}


def test_where_udp_is_blocked_it_moves_to_tcp(card):
    with playing(card, "loss=1", transport=None) as watch:
        watch.wait(lambda: watch.frames and watch.gaze)
        assert watch.said("nothing arrives over UDP")


def test_without_loss_it_stays_with_udp(card):
    with playing(card, transport=None) as watch:
        watch.run(2.5)
        assert watch.device.condition().transport == "udp"
        assert watch.device.condition().loss == 0


@pytest.mark.parametrize(
    ("faults", "transport"),
    [("reorder=0.03", "udp"), ("duplicate=0.1", "udp"), ("jitter=0.004", "udp"),
     ("jitter=0.03", "tcp"), ("garbage=0.1", "udp"), ("companion", "tcp")],
)  # fmt: skip
def test_what_can_be_mended_loses_nothing(card, faults, transport):
    with playing(card, faults, transport) as watch:
        watch.run(1.2)
        assert len(watch.frames) > 18 and len(watch.gaze) > 160
        assert set(watch.steps(watch.frames, 60)) == {1}
        assert set(watch.steps(watch.gaze, 400)) == {1}
        assert times_are_right(watch.frames) and times_are_right(watch.gaze)
        assert (watch.device.condition().garbage > 0) == ("garbage" in faults)


def test_bursts_of_loss_end_with_the_next_key_frame(card):
    with playing(card, "burst=0.05@0.5+0.8", seed=1) as watch:
        watch.run(2.2)
        dropped = watch.device.counts().frames.dropped
        assert dropped["packet loss"] + dropped["waiting for a key frame"] > 5
        after = [frame for frame in watch.frames if frame[0] > 1.7]
        assert len(after) > 10 and set(watch.steps(after, 60)) == {1}


def test_corrupt_pictures_are_dropped_by_that_name(card):
    with playing(card, "corrupt=0.05", seed=2) as watch:
        watch.run(2.0)
        assert watch.device.counts().frames.dropped["corrupt"] > 0
        assert len(watch.frames) > 5


def test_nothing_is_believed_before_the_first_sender_report(card):
    with playing(card, "report-late=0.8") as watch:
        watch.wait(lambda: watch.gaze)
        assert watch.emulator.elapsed() > 0.75
        counts = watch.device.counts()
        assert counts.gaze.dropped["before the first sender report"] > 100
        assert counts.frames.dropped["before the first sender report"] > 15
        watch.run(0.5)
        assert times_are_right(watch.gaze) and watch.frames


def test_without_sender_reports_time_goes_on_and_it_says_so(card, monkeypatch):
    monkeypatch.setattr(stream, "PATIENCE", 0.8)
    with playing(card, "report-missing") as watch:
        watch.wait(lambda: watch.said("no sender report"))
        assert not watch.gaze and not watch.frames
        age = watch.device.clock.now() - watch.until[GazeSample]
        assert age < 1000 * MS


@pytest.mark.parametrize(("step", "stamps"), [(5, ""), (-5, ",clock-stamps")])
def test_drift_and_a_step_of_the_phones_clock(card, step, stamps):
    faults = f"clock-offset=3,clock-drift=100,clock-step={step}@0.5{stamps}"
    with playing(card, faults) as watch:
        watch.run(2.9)
        late = [s for s in watch.gaze + watch.frames if s[0] > 2.5]
        early = [s for s in watch.gaze + watch.frames if s[0] < 0.5]
        assert len(late) > 60 and len(early) > 40
        assert times_are_right(late) and times_are_right(early)
        fixations = [s for s in watch.others if isinstance(s, Fixation)]
        assert fixations


@pytest.mark.parametrize(
    ("fault", "noun", "kind"),
    [("camera-stall", "scene camera", "frames"), ("gaze-stall", "gaze", "gaze")],
)
def test_a_stall_is_noticed_within_half_a_second(card, fault, noun, kind):
    with playing(card) as watch:
        watch.wait(lambda: watch.frames and watch.gaze)
        began = watch.emulator.elapsed()
        watch.emulator.inject(fault, seconds=0.9)
        noticed = watch.wait(lambda: watch.said(f"{noun}: no data"))
        assert noticed - began < 0.5
        watch.run(0.2)
        newest = watch.device.newest_frame if kind == "frames" else watch.device.newest_gaze
        with pytest.raises(StaleSample):
            newest(max_age=0.3)
        sample = SceneFrame if kind == "frames" else GazeSample
        assert watch.device.clock.now() - watch.until[sample] < 500 * MS
        watch.wait(lambda: watch.said(f"{noun}: data again"))
        watch.run(0.3)
        assert newest(max_age=0.3)
        other = watch.gaze if kind == "frames" else watch.frames
        assert set(watch.steps(other, 400 if kind == "frames" else 60)) == {1}


def test_taking_the_glasses_off_is_no_gaze(card):
    with playing(card, "off@0.5+0.5") as watch:
        watch.wait(lambda: watch.said("were put on"))
        assert watch.said("were taken off")
        on = {sample.worn for at, _, _, sample in watch.gaze if at < 0.5 or at > 1.1}
        off = {sample.worn for at, _, _, sample in watch.gaze if 0.55 < at < 0.95}
        assert (on, off) == ({True}, {False})


def test_blinks_and_fixations_of_the_phone_are_dated(card):
    with playing(card, "blink,clock-offset=-2") as watch:
        watch.run(2.2)
        start = watch.emulator.started_at
        blinks = [s for s in watch.others if isinstance(s, Blink)]
        assert len(blinks) >= 3
        for blink in blinks:
            assert abs(blink.ended_at - blink.started_at - 200 * MS) < 2 * MS
            assert abs((blink.ended_at - start) % (500 * MS)) < TOLERANCE or (
                abs((blink.ended_at - start) % (500 * MS) - 500 * MS) < TOLERANCE
            )
        fixations = [s for s in watch.others if isinstance(s, Fixation)]
        open_ones = [f for f in fixations if f.ended_at is None]
        closed = [f for f in fixations if f.ended_at is not None]
        assert open_ones and closed
        for fixation in fixations:
            begun = (fixation.started_at - start) % (1000 * MS)
            assert abs(begun - 200 * MS) < TOLERANCE and fixation.source == "device"
        for fixation in closed:
            assert (fixation.x, fixation.y) == (0.5, 0.5)
            assert abs(fixation.ended_at - fixation.started_at - 500 * MS) < 2 * MS
