"""Packets that lie: numbers that are none, events at no time, forged senders, another size."""

import math
import struct
import time
from dataclasses import replace

import pytest
from hostile_phone import HostilePhone
from playing_phone import QUICK, TOLERANCE, Watch, times_are_right

from devices.emulator.programmes.drawn import draw_test_card
from devices.emulator.programmes.truth import Truth
from devices.neon import wire
from devices.neon.device import NeonDevice
from devices.samples import Fixation

pytestmark = pytest.mark.realtime

NAN, INF = math.nan, math.inf


def connected(card, transport="tcp"):
    phone = HostilePhone(card, settings=QUICK)
    return phone, lambda: NeonDevice(phone.address, phone.port, transport=transport)


def in_packets(camera, change):
    """A lie in every RTP packet of a camera: `change(count, packet)` -> packet or packets."""
    sent = [0]

    def lie(of, which, honest):
        if of != camera or which != 0:
            return [honest]
        sent[0] += 1
        said = change(sent[0], wire.parse_rtp(honest))
        return [each.packed() for each in (said if isinstance(said, list) else [said])]

    return lie


def balanced(device):
    counts = device.counts()
    return all(
        each.received == each.delivered + sum(each.dropped.values())
        for each in (counts.frames, counts.gaze)
    )


@pytest.mark.parametrize(
    "bad", [(NAN, 60.0), (80.0, NAN), (INF, 60.0), (80.0, -INF), (3e38, 60.0), (1e7, 1e7)]
)
def test_gaze_that_is_no_number_is_dropped_by_cause(card, bad):
    phone, make = connected(card)

    def spoil(count, packet):
        payload = struct.pack("!ffB", *bad, 255)
        return replace(packet, payload=payload) if count % 50 == 0 else packet

    with phone:
        device = make()
        with device:
            phone.lies.packet = in_packets("gaze", spoil)
            watch = Watch(phone, device).run(1.0)
        assert device.counts().gaze.dropped["not a valid position"] >= 3
        assert len(watch.gaze) > 150 and times_are_right(watch.gaze)
        assert all(abs(s.x) < 1 and abs(s.y) < 1 for *_, s in watch.gaze)
        assert balanced(device)


EVENTS = {
    "nan": struct.pack("!iqq10f", 1, 5, 9, *([NAN] * 10)),
    "far future": struct.pack("!iqq10f", 1, 2**63 - 2, 2**63 - 1, *([5.0] * 10)),
    "before 1970": struct.pack("!iqq", 4, -(2**63), -1),
    "backwards": struct.pack("!iqq", 4, 1_700_000_000 * 10**9, 1_600_000_000 * 10**9),
    "a blink of a year": struct.pack("!iqq", 4, 1_700_000_000 * 10**9, 1_740_000_000 * 10**9),
    "onset in 2200": struct.pack("!iq", 3, 7_258_118_400 * 10**9),
    "a type that is not": struct.pack("!i", 77),
    "cut": b"\0\0",
}


def test_events_at_no_time_and_at_no_place_are_garbage(card):
    phone, make = connected(card)
    nonsense = list(EVENTS.values())

    def spoil(count, packet):
        spoiled = [replace(packet, payload=each) for each in nonsense]
        base = packet.sequence * (len(nonsense) + 1)
        return [
            replace(each, sequence=(base + i) % 2**16) for i, each in enumerate([*spoiled, packet])
        ]

    phone.lies.packet = in_packets("eye_events", spoil)
    with phone:
        device = make()
        with device:
            watch = Watch(phone, device).run(2.2)
            assert device.condition().garbage >= 2 * len(nonsense)
        assert [s for s in watch.others if isinstance(s, Fixation)]
        for sample in watch.others:
            assert abs(sample.captured_at - phone.started_at) < 60e9
            assert abs(sample.started_at - phone.started_at) < 60e9


def forged(which, honest, source):
    if which == 1:
        report = wire.parse_sender_report(honest)
        return replace(report, source=source, moment=report.moment + 10**12).packed()
    return replace(wire.parse_rtp(honest), source=source, payload=b"\x41forged").packed()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_forged_sender_takes_nothing_over(card, transport):
    phone, make = connected(card, transport)
    phone.lies.packet = lambda camera, which, honest: [
        honest, forged(which, honest, 0xBAD), forged(which, honest, 0xBADBAD)
    ]  # fmt: skip
    with phone:
        device = make()
        with device:
            watch = Watch(phone, device).run(1.5)
            assert device.condition().garbage > 300
        assert len(watch.frames) > 25 and len(watch.gaze) > 200
        assert set(watch.steps(watch.frames, 60)) == {1}
        assert set(watch.steps(watch.gaze, 400)) == {1}
        assert times_are_right(watch.frames) and times_are_right(watch.gaze)
        assert not watch.said("connecting anew") and balanced(device)


def test_a_forged_report_of_the_right_sender_moves_nothing(card):
    """Who reads the network knows the SSRC: one such report is contradicted by the next."""
    phone, make = connected(card)
    forging = [True]

    def lie(camera, which, honest):
        if which == 1 and forging[0] and phone.elapsed() > 0.8:
            forging[0] = camera != "gaze"
            report = wire.parse_sender_report(honest)
            return [honest, replace(report, moment=report.moment - 10**9).packed()]
        return [honest]

    phone.lies.packet = lie
    with phone:
        device = make()
        with device:
            watch = Watch(phone, device).run(2.0)
        assert times_are_right(watch.frames) and times_are_right(watch.gaze)
        assert len(watch.gaze) > 300


def test_times_that_make_no_sense_date_nothing_and_it_recovers(card, monkeypatch):
    monkeypatch.setattr("devices.neon.stream.PATIENCE", 0.6)
    phone, make = connected(card)

    def ancient(camera, which, honest):
        if which == 0:
            return [honest]
        return [replace(wire.parse_sender_report(honest), moment=86_400 * 10**9).packed()]

    phone.lies.packet = ancient
    with phone:
        device = make()
        with device:
            watch = Watch(phone, device)
            watch.wait(lambda: watch.said("its times made no sense"))
            assert not watch.gaze and not watch.frames
            phone.lies.stop()
            watch.wait(lambda: len(watch.gaze) > 20 and len(watch.frames) > 5)
            assert times_are_right(watch.frames) and times_are_right(watch.gaze)
        assert device.counts().gaze.dropped["clock not known"] > 10 and balanced(device)


def test_an_echo_that_lies_is_not_believed(card):
    phone, make = connected(card)
    with phone:
        device = make()
        with device:
            watch = Watch(phone, device)
            watch.wait(lambda: watch.gaze and watch.frames)
            for said in (b"\xff" * 16, b"\0" * 16):
                phone.lies.echo = lambda honest, said=said: honest[:8] + said[8:]
                before = len(watch.gaze)
                watch.run(1.0)
                assert len(watch.gaze) - before > 180  # of 200 in that second
            assert times_are_right(watch.frames) and times_are_right(watch.gaze)


def test_a_defect_in_a_callback_is_one_line_a_second(card, monkeypatch, capfd):
    phone, make = connected(card)
    with phone:
        device = make()
        with device:
            watch = Watch(phone, device)
            watch.wait(lambda: watch.gaze and watch.frames)

            def defect(payload):
                raise KeyError("nobody thought of this")

            with monkeypatch.context() as patch:
                patch.setattr(wire, "parse_gaze", defect)
                watch.run(1.6)
            lines = watch.said("KeyError: 'nobody thought of this'")
            assert 1 <= len(lines) <= 3
            assert any("times)" in line for _, line in watch.notices)
            gaze = len(watch.gaze)
            watch.wait(lambda: len(watch.gaze) > gaze + 20)
        assert device.counts().gaze.dropped["failed"] > 200 and balanced(device)
    assert capfd.readouterr().err == ""


def test_a_size_that_changes_in_mid_stream_moves_gaze_with_it(card):
    large = draw_test_card(seconds=1.0, width=320, height=240, key_frame_spacing=30)
    small = draw_test_card(seconds=1.0, width=160, height=120, key_frame_spacing=30)
    with_sets = [
        replace(first, units=(*programme.parameters, *first.units))
        for programme in (small, large)
        for first in programme.pictures[:1]
    ]
    shifted = tuple(replace(p, at=p.at + 10**9) for p in (with_sets[1], *large.pictures[1:]))
    # Gaze is at a fixed pixel of the whole round: its fraction tells the size that it was given.
    both = replace(
        small,
        length=2 * 10**9,
        pictures=(with_sets[0], *small.pictures[1:], *shifted),
        gaze=tuple(
            replace(small.gaze[0], at=i * 5_000_000, x=80.0, y=60.0) for i in range(400)
        ),
        events=(),
    )  # fmt: skip
    phone, make = connected(both)
    with phone:
        device = make()
        with device:
            began = time.monotonic()
            samples, frames = [], []
            while time.monotonic() - began < 4.3:
                for sample in device.poll().samples:
                    kept = frames if hasattr(sample, "pixels") else samples
                    kept.append(sample)
                time.sleep(0.002)
    truth = Truth(both, phone.started_at)
    shapes = {frame.pixels.shape for frame in frames}
    assert shapes == {(120, 160, 3), (240, 320, 3)}
    # A sample that overtakes the picture that tells the new size gets the old one.
    overtook = []
    for sample in samples:
        within = (sample.captured_at - phone.started_at) % both.length
        if within < TOLERANCE or abs(within - 10**9) < TOLERANCE:
            continue  # as near to the change as times are exact
        side = 160 if within < 10**9 else 320
        if (sample.x, sample.y) != (80 / side, 60 / (side * 3 / 4)):
            overtook.append(within % 10**9)
    assert all(since < 50_000_000 for since in overtook) and len(overtook) <= 16, overtook
    assert len(samples) > 700 and truth.gaze_at(samples[0].captured_at)
