"""Sound of an emulated phone, of a video, of this computer, and of a session that saved it."""

import json
import time
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from drawn_recording import START, draw_neon
from heard_sound import RATE, SECOND, chirps, likeness, shift

from devices.catalog import DeviceOptions, open_device
from devices.clock import SystemClock
from devices.device import Delivery, DeviceError, DeviceInfo
from devices.emulator.emulator import Emulator
from devices.emulator.phone import Settings
from devices.emulator.programmes.drawn import draw_test_card
from devices.emulator.programmes.sound import encode_sound, load_sound
from devices.microphone.device import MicrophoneDevice, NoMicrophone
from devices.neon.device import NeonDevice
from devices.samples import SceneFrame, Sound
from devices.session.device import SessionDevice
from devices.session.writer import SessionWriter
from devices.synthetic.device import SyntheticDevice

MS = 1_000_000
UNIT_LASTS = 1024 * SECOND // RATE


def sounds(samples):
    return [sample for sample in samples if isinstance(sample, Sound)]


def polled(device, enough, timeout=6.0):
    """Everything polled until `enough` says so of all samples and all notices."""
    samples, notices, end = [], [], time.monotonic() + timeout
    while not enough(samples, notices):
        assert time.monotonic() < end, notices
        delivery = device.poll()
        samples += delivery.samples
        notices += delivery.notices
        time.sleep(0.005)
    return samples, notices


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_the_phones_sound_lies_on_the_clock_of_its_picture(transport):
    truth = chirps(3 * 1.024)
    card = replace(draw_test_card(seconds=1.0, key_frame_spacing=6), sound=encode_sound(truth))
    with Emulator(card, settings=Settings(report_delay=0.02)) as emulator:
        device = NeonDevice(emulator.address, emulator.port, transport=transport, sound=True)
        with device as info:
            samples, _ = polled(device, lambda got, _: len(sounds(got)) >= 8)
        assert info.hears
        assert any(isinstance(sample, SceneFrame) for sample in samples)
        twice = np.concatenate((truth, truth))
        for piece in sounds(samples)[1:]:
            # A millisecond: the phone's clock is known no better over loopback.
            assert piece.arrived_at - piece.begins_at >= UNIT_LASTS - MS
            since = (piece.begins_at - emulator.started_at) % card.sound.length
            assert abs(shift(replace(piece, begins_at=since), twice, 0)) <= 8  # a millisecond
        counts = device.counts().sound
        assert counts.received == counts.delivered + sum(counts.dropped.values())


def test_a_phone_whose_microphone_is_off_says_what_to_tick_and_goes_on():
    card = draw_test_card(seconds=1.0, key_frame_spacing=6)
    with Emulator(card, settings=Settings(report_delay=0.02)) as emulator:
        with NeonDevice(emulator.address, emulator.port, sound=True) as info:
            pass
        device = NeonDevice(emulator.address, emulator.port, sound=True)
        with device:
            _, notices = polled(
                device, lambda got, said: said and any(isinstance(s, SceneFrame) for s in got)
            )
    assert not info.hears
    (line,) = [line for line in notices if "sound" in line]
    assert "Companion app" in line and "without voice" in line and "\n" not in line


def test_no_sound_is_asked_of_a_phone_that_nobody_listens_to():
    truth = chirps(1.024)
    card = replace(draw_test_card(seconds=0.5, key_frame_spacing=6), sound=encode_sound(truth))
    with Emulator(card, settings=Settings(report_delay=0.02)) as emulator:
        device = NeonDevice(emulator.address, emulator.port)
        with device as info:
            polled(device, lambda got, _: sum(isinstance(s, SceneFrame) for s in got) > 8)
        assert not info.hears and device.counts().sound.received == 0


def with_sound(path, samples):
    """Put a sound track beside the pictures of a video; it begins 100 ms before them."""
    silent = path.rename(path.with_suffix(".silent"))
    with av.open(str(silent), format="mp4") as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        audio = target.add_stream("aac", rate=RATE, layout="mono")
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                packet.pts += round(Fraction(1, 10) / packet.time_base)
                packet.dts += round(Fraction(1, 10) / packet.time_base)
                target.mux(packet)
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        for piece in (frame, None):
            target.mux(audio.encode(piece))
    silent.unlink()


def test_a_native_recordings_sound_is_delivered_with_its_frames(tmp_path):
    drawn = draw_neon(tmp_path / "r")
    truth = chirps(1.5)
    with_sound(drawn.videos[0], truth)
    options = DeviceOptions(path=drawn.path, fast=True, sound=True)
    device, heard = open_device("recording", options), []
    with device as info:
        ended = False
        while not ended:
            delivery = device.poll()
            for piece in sounds(delivery.samples):
                assert piece.captured_at <= device.clock.now()
                heard.append(piece)
            ended = delivery.ended
            device.clock.sleep_until(device.clock.now() + 20 * MS)
    assert info.hears and len(heard) >= 5
    began_at = int(drawn.frame_times[0]) - SECOND // 10
    assert all(likeness(piece, truth, began_at) > 0.9 for piece in heard[2:-2])
    counts = device.counts().sound
    assert counts.received == counts.delivered == len(heard)
    with open_device("recording", replace(options, sound=False)) as info:
        assert not info.hears


def test_a_session_saves_sound_to_the_last_bit(tmp_path):
    info = DeviceInfo("heard", 64, 48, 30.0, None, hears=True)
    writer = SessionWriter(tmp_path / "s", info, START, patient=True)
    truth, given = chirps(1.0), []
    for number in range(7):
        at = START + number * 128 * MS
        piece = Sound(at, at + 200 * MS, RATE, truth[number * 1024 : (number + 1) * 1024])
        writer.delivered(Delivery((piece,), at, at), piece.arrived_at)
        given.append(piece)
    assert writer.close().trouble is None
    for asked in (True, False):
        device, found = SessionDevice(tmp_path / "s", fast=True, sound=asked), []
        with device as told:
            assert told.hears == asked
            for _ in range(20):
                found += sounds(device.poll().samples)
                device.clock.sleep_until(device.clock.now() + 5 * MS)
        if not asked:
            assert found == []
            continue
        for one, other in zip(given, found, strict=True):
            assert (one.begins_at, one.arrived_at, one.rate) == (
                other.begins_at, other.arrived_at, other.rate,
            )  # fmt: skip
            np.testing.assert_array_equal(one.samples, other.samples)


def test_a_saved_sound_that_rotted_is_dropped_by_cause(tmp_path):
    info = DeviceInfo("heard", 64, 48, 30.0, None, hears=True)
    writer = SessionWriter(tmp_path / "s", info, START, patient=True)
    loud = np.array([0.1, np.nan, 0.2], np.float32)
    writer.delivered(Delivery((Sound(START, START, RATE, loud),), START, START), START)
    writer.close()
    device = SessionDevice(tmp_path / "s", fast=True, sound=True)
    with device:
        assert sounds(device.poll().samples) == []
        counts = device.counts().sound
    assert (counts.received, counts.delivered) == (1, 0)
    assert counts.dropped == {"not a valid sound": 1}
    lines = tmp_path / "s" / "samples.jsonl"
    odd = json.dumps(["sound", START, START, RATE, "AAAA"]) + "\n"
    lines.write_text(odd + lines.read_text())
    with pytest.raises(DeviceError, match="line 1"), device:
        device.poll()


class Opened:
    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


def test_this_computers_microphone_beside_a_device():
    opened, callbacks = Opened(), []

    def opener(name, heard):
        assert name == "desk"
        callbacks.append(heard)
        return opened

    device = MicrophoneDevice(SyntheticDevice(1, 5.0, SystemClock(START)), "desk", opener)
    with device as info:
        assert info.hears
        callbacks[0](chirps(0.1, 16_000), 0.25)
        (piece,) = sounds(device.poll().samples)
        assert piece.arrived_at - piece.begins_at == SECOND // 4
        assert piece.captured_at == piece.begins_at + SECOND // 10
    assert opened.closed
    assert device.counts().sound.delivered == 1


def test_without_a_microphone_there_is_one_line_and_the_device_goes_on():
    def opener(name, heard):
        raise NoMicrophone("no such device")

    device = MicrophoneDevice(SyntheticDevice(1, 5.0, SystemClock(START)), "", opener)
    with device as info:
        assert not info.hears
        assert [line for line in device.poll().notices if "no microphone" in line]


def test_a_file_without_sound_is_one_line(tmp_path):
    drawn = draw_neon(tmp_path / "r")
    (tmp_path / "text.wav").write_text("no sound at all")
    for path in (drawn.videos[0], tmp_path / "text.wav", tmp_path / "nowhere.wav"):
        with pytest.raises(DeviceError, match="give a WAV file"):
            load_sound(path)
