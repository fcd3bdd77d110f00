"""Pupil Core, against a Pupil Capture that speaks the documented messages."""

import math
import time
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("zmq", reason="needs the extra 'core'")
pytest.importorskip("msgpack", reason="needs the extra 'core'")

from playing_capture import collect, connected

from devices.core import messages
from devices.core.device import CoreDevice
from devices.core.messages import BadMessage, PupilClock
from devices.device import DeviceError, StaleSample
from devices.emulator.capture import FRAME_RATE, GAZE_RATE, PupilCapture
from devices.samples import Fixation, GazeSample, SceneFrame

SECOND = 1_000_000_000
MS = SECOND // 1000


def index_of(capture, sample, rate):
    """(number of the sample in its stream, error of its capture time in ns)."""
    since = sample.captured_at - capture.started_at
    index = round(since * rate / SECOND)
    return index, since - index * SECOND / rate


@pytest.mark.parametrize("frame_format", ["jpeg", "bgr", "gray"])
def test_samples_are_those_of_capture_with_the_origin_at_the_top(frame_format):
    with connected(frame_format=frame_format) as (capture, device):
        samples = collect(device, 0.8)
    gaze = [s for s in samples if isinstance(s, GazeSample)]
    frames = [s for s in samples if isinstance(s, SceneFrame)]
    assert len(gaze) > 60 and len(frames) > 15
    for sample in gaze:
        index, error = index_of(capture, sample, GAZE_RATE)
        assert (sample.x, sample.y) == pytest.approx(capture.gaze(index))
        assert abs(error) < 3 * MS and sample.confidence == 0.9
    for frame in frames:
        index, error = index_of(capture, frame, FRAME_RATE)
        expected = capture.frame(index)
        if frame_format == "gray":
            expected = np.repeat(expected[..., :1], 3, axis=2)
        assert frame.pixels.shape == (64, 96, 3) and abs(error) < 3 * MS
        if frame_format == "jpeg":
            assert np.abs(frame.pixels.astype(int) - expected).mean() < 20
        else:
            assert np.array_equal(frame.pixels, expected)


def test_fixations_are_dated_and_whole():
    with connected() as (capture, device):
        fixations = [s for s in collect(device, 1.2) if isinstance(s, Fixation)]
    assert fixations
    for fixation in fixations:
        assert fixation.ended_at - fixation.started_at == 200 * MS
        end = (fixation.ended_at - capture.started_at) % SECOND
        assert abs(end - 500 * MS) < 3 * MS and fixation.source == "device"
        assert (fixation.x, fixation.y) == pytest.approx(capture.gaze(GAZE_RATE // 2))


@pytest.mark.parametrize("step", [5 * SECOND, -5 * SECOND])
def test_a_clock_that_was_set_is_followed_within_two_seconds(step):
    with connected() as (capture, device):
        collect(device, 0.3)
        capture.offset += step
        collect(device, 1.5)
        samples = collect(device, 0.5)
    gaze = [s for s in samples if isinstance(s, GazeSample)]
    assert len(gaze) > 40
    assert all(abs(index_of(capture, s, GAZE_RATE)[1]) < 5 * MS for s in gaze)
    assert all(one.captured_at < other.captured_at for one, other in pairwise(gaze))


@pytest.mark.parametrize("stream", ["gaze", "frames"])
def test_a_stall_is_noticed_within_half_a_second_and_time_goes_on(stream):
    with connected() as (capture, device):
        collect(device, 0.2)
        capture.paused.add(stream)
        notices = []
        collect(device, 0.5, notices=notices)
        assert any("no data" in line for line in notices)
        newest = device.newest_gaze if stream == "gaze" else device.newest_frame
        with pytest.raises(StaleSample):
            newest(max_age=0.3)
        delivery = device.poll()
        until = delivery.gaze_until if stream == "gaze" else delivery.frames_until
        assert device.clock.now() - until < 600 * MS
        capture.paused.clear()
        collect(device, 0.3, notices=notices)
        assert any("data again" in line for line in notices)
        assert newest(max_age=0.3)


def test_a_restarted_capture_is_found_again():
    with PupilCapture() as first:
        port = first.port
        device = CoreDevice("127.0.0.1", port)
        device.connect()
        collect(device, 0.3)
    try:
        collect(device, 0.5)
        with PupilCapture(port=port, offset=0) as second:
            samples = []
            end = time.monotonic() + 5
            while time.monotonic() < end and len(samples) < 30:
                samples += [s for s in collect(device, 0.1) if isinstance(s, GazeSample)]
            samples += [s for s in collect(device, 0.5) if isinstance(s, SceneFrame)]
        assert len(samples) > 35
        assert abs(index_of(second, samples[20], GAZE_RATE)[1]) < 5 * MS
    finally:
        device.disconnect()


def test_silence_is_one_clear_line():
    started = time.monotonic()
    with pytest.raises(DeviceError) as caught:
        CoreDevice("127.0.0.1", 9).connect()
    assert time.monotonic() - started < 3
    assert "\n" not in str(caught.value) and "Network API" in str(caught.value)


def test_a_capture_without_a_camera_is_one_clear_line():
    with PupilCapture() as capture:
        capture.paused.add("frames")
        time.sleep(0.05)
        with pytest.raises(DeviceError, match="world camera"):
            CoreDevice("127.0.0.1", capture.port).connect()


@pytest.mark.parametrize(
    "message", [{}, {"norm_pos": None}, {"norm_pos": [1]}, {"norm_pos": [0.5, "x"]},
                {"norm_pos": [0.1, 0.2], "confidence": None}],
)  # fmt: skip
def test_messages_that_are_not_as_documented_are_refused(message):
    with pytest.raises(BadMessage):
        messages.gaze_sample(message, 0, 0)


def test_positions_and_confidence():
    sample = messages.gaze_sample({"norm_pos": [0.25, 0.75], "confidence": 1.4}, 1, 2)
    assert (sample.x, sample.y, sample.confidence) == (0.25, 0.25, 1.0)


def test_frames_that_can_not_be_read_are_refused():
    frame = {"width": 4, "height": 3, "format": "bgr"}
    for message, data in ((frame, b"short"), (frame | {"format": "yuv"}, b""), ({}, b"")):
        with pytest.raises(BadMessage):
            messages.pixels(message, data)
    with pytest.raises(BadMessage):
        messages.pixels({"format": "jpeg"}, b"no jpeg")


def test_a_sample_from_the_future_has_no_date():
    clock = PupilClock(100 * SECOND)
    assert clock.date(1.5, 102 * SECOND) == 101.5 * SECOND
    assert clock.date(3.0, 102 * SECOND) is None
    assert math.isclose(messages.number({"t": 2}, "t", most=9), 2.0)
