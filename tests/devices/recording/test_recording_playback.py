"""Playback: when a sample is due, what is dropped, how it ends, and that it can begin again."""

import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from drawn_recording import (
    Span,
    copy_packets,
    decode_each,
    draw_cloud,
    draw_fixations,
    draw_video,
    packet_places,
)

from devices.clock import SimulatedClock
from devices.device import DeviceError, StaleSample
from devices.recording.playback import MOST_FRAMES, RecordingDevice
from devices.samples import GazeSample, SceneFrame

TICK = 10_000_000
HALF_SECOND = 500_000_000
FIXATION = (0.5, 0.5, 0.0, 0.2)


@pytest.fixture
def drawn(tmp_path):
    plain = draw_cloud(tmp_path / "plain")
    seen = Span(int(plain.gaze_times[20]), int(plain.gaze_times[60]), mean=(16, 12))
    blink = Span(seen.end + 1, seen.end + 9)
    return draw_cloud(tmp_path / "export", fixations=(seen,), blinks=(blink,))


def facts(sample):
    """A sample as something that compares by value, pixels included."""
    pixels = sample.pixels.tobytes() if isinstance(sample, SceneFrame) else None
    fields = [getattr(sample, name) for name in sample.__slots__ if name != "pixels"]
    return type(sample).__name__, fields, pixels


def played(device, tick=TICK):
    """Everything from here to the end, as facts."""
    samples, ended = [], False
    while not ended:
        delivery = device.poll()
        samples += [facts(sample) for sample in delivery.samples]
        ended = delivery.ended
        device.clock.sleep_until(device.clock.now() + tick)
    return samples


def files_open(path):
    """How often this process holds a file open."""
    return sum(1 for link in Path("/proc/self/fd").iterdir() if target_of(link) == str(path))


def target_of(link):
    try:
        return str(link.readlink())
    except FileNotFoundError:  # the listing's own
        return ""


def frames_of(delivery):
    return [sample.index for sample in delivery.samples if isinstance(sample, SceneFrame)]


def test_a_sample_is_delivered_at_its_time_and_not_before(drawn):
    clocks = []

    def new_clock(start):
        clocks.append(SimulatedClock(start))
        return clocks[0]

    device = RecordingDevice(drawn.path, clock_factory=new_clock)
    with device:
        (clock,) = clocks
        assert device.clock is clock and clock.now() == drawn.frame_times[0]
        assert frames_of(device.poll()) == [0]
        assert device.poll().samples == ()
        for moment, due in ((drawn.frame_times[1] - 1, []), (drawn.frame_times[1], [1])):
            clock.sleep_until(int(moment))
            delivery = device.poll()
            assert frames_of(delivery) == due
            assert delivery.frames_until == delivery.gaze_until == moment
        seen = [at for at in drawn.gaze_times if at <= drawn.frame_times[1]]
        assert device.counts().gaze.delivered == len(seen)
        assert device.newest_frame(0.001).captured_at == drawn.frame_times[1]
        clock.sleep_until(int(drawn.frame_times[1]) + TICK)
        with pytest.raises(StaleSample):
            device.newest_frame(0.001)


def test_it_ends_when_everything_was_delivered(drawn):
    device = RecordingDevice(drawn.path, fast=True)
    with device as info:
        device.clock.sleep_until(info.ends_at)
        assert not device.poll().ended  # gaze goes on a little after the last frame
        device.clock.sleep_until(int(drawn.gaze_times[-1]))
        delivery = device.poll()
        assert delivery.ended and delivery.samples[-1].captured_at == drawn.gaze_times[-1]
        again = device.poll()
        assert again.ended and again.samples == ()


def test_in_real_time_the_samples_are_those_of_a_fast_pass(drawn):
    fast, real = RecordingDevice(drawn.path, fast=True), RecordingDevice(drawn.path)
    with fast, real:
        began = real.clock.now()
        assert played(fast) == played(real)
        elapsed = real.clock.now() - began
    last = max(drawn.gaze_times[-1], drawn.frame_times[-1])
    assert elapsed >= last - drawn.frame_times[0] - TICK


@pytest.mark.parametrize("tick", [1_000_003, 33_000_000, HALF_SECOND])
def test_how_often_one_polls_changes_nothing(drawn, tick):
    often, seldom = RecordingDevice(drawn.path, fast=True), RecordingDevice(drawn.path, fast=True)
    with often, seldom:
        assert played(often) == played(seldom, tick)


def test_a_poll_that_comes_late_gets_the_newest_frames_and_the_rest_is_counted(tmp_path):
    drawn = draw_cloud(tmp_path / "export", frames=100, gaze=700)
    decoded = list(decode_each(drawn.videos))
    device = RecordingDevice(drawn.path, fast=True)
    with device as info:
        device.clock.sleep_until(info.ends_at)
        delivery = device.poll()
        counts = device.counts()
    assert MOST_FRAMES == 64
    assert frames_of(delivery) == list(range(36, 100))
    frames = [sample for sample in delivery.samples if isinstance(sample, SceneFrame)]
    assert all(np.array_equal(frame.pixels, decoded[frame.index]) for frame in frames)
    assert (counts.frames.received, counts.frames.delivered) == (100, 64)
    assert counts.frames.dropped == {"late": 36}
    gaze = [sample for sample in delivery.samples if isinstance(sample, GazeSample)]
    assert len(gaze) == counts.gaze.delivered == (drawn.gaze_times <= info.ends_at).sum()


def test_memory_does_not_grow_with_the_recording(tmp_path):
    frame = 320 * 240 * 3
    draw_fixations(tmp_path / "clip_fixation_filtered.csv", [FIXATION])
    draw_video(tmp_path / "clip.mp4", 400, size=(320, 240), key_every=100)
    device = RecordingDevice(tmp_path / "clip.mp4", fast=True)
    tracemalloc.start()
    try:
        with device as info:
            ended = False
            while not ended:
                ended = device.poll().ended
                device.clock.sleep_until(device.clock.now() + TICK)
            small_steps = tracemalloc.get_traced_memory()[1]
            assert device.counts().frames.delivered == 400
        with device:
            device.clock.sleep_until(info.ends_at)
            assert len(frames_of(device.poll())) == MOST_FRAMES
            one_poll = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert small_steps < 12 * frame
    assert one_poll < (MOST_FRAMES + 12) * frame


def test_connecting_again_begins_again(drawn):
    device = RecordingDevice(drawn.path, fast=True)
    with device:
        first = played(device)
    with device as info:
        assert device.clock.now() == info.starts_at
        assert device.counts().frames.received == 0
        with pytest.raises(StaleSample):
            device.newest_frame(1e9)
        assert played(device) == first


def test_connecting_twice_begins_again_too(drawn):
    device = RecordingDevice(drawn.path, fast=True)
    device.connect()
    first = played(device)
    device.connect()
    assert played(device) == first
    device.disconnect()


def test_two_at_once_do_not_disturb_each_other(drawn):
    one, two = RecordingDevice(drawn.path, fast=True), RecordingDevice(drawn.path, fast=True)
    with one:
        expected = played(one)
    with one, two:
        mixed = {one: [], two: []}
        for step in range(150):
            for device in (one, two):
                device.clock.sleep_until(drawn.frame_times[0] + step * TICK)
                mixed[device] += [facts(sample) for sample in device.poll().samples]
    assert mixed[one] == mixed[two] == expected


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux's list of open files")
def test_disconnecting_twice_does_nothing_and_leaves_nothing_behind(drawn):
    threads = threading.active_count()
    device = RecordingDevice(drawn.path, fast=True)
    device.disconnect()
    device.connect()
    played(device)
    assert files_open(drawn.videos[0]) == 1
    device.disconnect()
    device.disconnect()
    assert files_open(drawn.videos[0]) == 0
    assert device.counts().frames.delivered == 30
    assert threading.active_count() == threads
    with pytest.raises(DeviceError, match="connect first"):
        device.poll()
    with pytest.raises(DeviceError, match="connect first"):
        _ = device.description


@pytest.mark.parametrize("broken", [24, 27])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_video_that_breaks_in_the_middle_is_played_up_to_there(tmp_path, b_frames, broken):
    draw_fixations(tmp_path / "clip_fixation_filtered.csv", [FIXATION, (0.5, 0.5, 1.4, 1.5)])
    whole = draw_video(tmp_path / "whole.mp4", 48, key_every=40, b_frames=b_frames)
    decoded = list(decode_each([whole]))
    packets = packet_places(whole)
    place, size, _ = packets[broken]
    data = bytearray(whole.read_bytes())
    data[place : place + size] = bytes(size)
    (tmp_path / "clip.mp4").write_bytes(data)
    device = RecordingDevice(tmp_path / "clip.mp4", fast=True)
    frames, notices = [], []
    with device:
        ended = False
        while not ended:
            delivery = device.poll()
            frames += [sample for sample in delivery.samples if isinstance(sample, SceneFrame)]
            notices += delivery.notices
            ended = delivery.ended
            device.clock.sleep_until(device.clock.now() + TICK)
        device.clock.sleep_until(device.clock.now() + 10 * HALF_SECOND)
        after = device.poll()
        counts = device.counts().frames
    intact = sorted(number for _, _, number in packets[:broken])
    assert [frame.index for frame in frames] == intact
    assert all(np.array_equal(frame.pixels, decoded[frame.index]) for frame in frames)
    assert f"stops decoding at frame {intact[-1] + 1}" in notices[-1]
    assert counts.delivered == len(intact) and counts.dropped == {"undecodable": 48 - len(intact)}
    assert after.samples == () and after.ended


def test_frames_that_never_decode_are_counted_and_the_others_keep_their_indices(tmp_path):
    draw_fixations(tmp_path / "clip_fixation_filtered.csv", [FIXATION])
    whole = draw_video(
        tmp_path / "whole.mp4", 40, key_every=10, codec_options={"sc_threshold": "0"}
    )
    # Cut in the middle of a group of pictures: the first frames lack what they refer to.
    cut = copy_packets(whole, tmp_path / "clip.mp4", 14, 40, zero=14)
    decoded = list(decode_each([whole]))
    device = RecordingDevice(cut, fast=True)
    frames, notices = [], []
    with device as info:
        device.clock.sleep_until(info.ends_at)
        delivery = device.poll()
        frames += [sample for sample in delivery.samples if isinstance(sample, SceneFrame)]
        notices += delivery.notices
        counts = device.counts().frames
    assert [frame.index for frame in frames] == list(range(6, 26))
    assert all(np.array_equal(frame.pixels, decoded[frame.index + 14]) for frame in frames)
    assert counts.dropped == {"undecodable": 6} and len(notices) == 1
    assert "frame 0" in notices[0]


def test_what_an_edit_list_hides_is_not_counted_as_a_frame(tmp_path):
    draw_fixations(tmp_path / "clip_fixation_filtered.csv", [FIXATION])
    whole = draw_video(
        tmp_path / "whole.mp4", 40, key_every=10, codec_options={"sc_threshold": "0"}
    )
    # Cut at frame 14, with the run-up from its key frame hidden, as stream copies are.
    cut = copy_packets(whole, tmp_path / "clip.mp4", 10, 40, zero=14)
    decoded = list(decode_each([cut]))
    device = RecordingDevice(cut, fast=True)
    with device as info:
        device.clock.sleep_until(info.ends_at)
        delivery = device.poll()
    assert len(decoded) == 26 and frames_of(delivery) == list(range(26))
    frames = [sample for sample in delivery.samples if isinstance(sample, SceneFrame)]
    assert all(np.array_equal(f.pixels, p) for f, p in zip(frames, decoded, strict=True))
