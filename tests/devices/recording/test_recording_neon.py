"""Neon's native format: the real recording, byte for byte, and drawn ones with what it lacks."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_recording import SCENE, START, Span, decode_each, draw_neon, packet_places

from devices.recording.formats import describe
from devices.recording.playback import RecordingDevice
from devices.recording.video import FrameReader
from devices.samples import Blink, Fixation, GazeSample, SceneFrame

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def real(shared_data):
    return shared_data / "neon-recording"


def play(device):
    """Everything a device delivers, polled every 10 ms of its own clock."""
    ended = False
    while not ended:
        delivery = device.poll()
        yield from delivery.samples
        ended = delivery.ended
        device.clock.sleep_until(device.clock.now() + 10_000_000)


def checked(sample, decoded):
    """A sample, its pixels compared with the next decoded frame and then let go."""
    if isinstance(sample, SceneFrame):
        assert np.array_equal(sample.pixels, next(decoded))
        return replace(sample, pixels=sample.pixels[:0])
    return sample


def of(kind, samples):
    return [sample for sample in samples if isinstance(sample, kind)]


def test_the_real_recording_is_delivered_as_its_files_have_it(real):
    times = np.fromfile(real / f"{SCENE}1.time", "<i8")
    gaze_times = np.fromfile(real / "gaze ps1.time", "<i8")
    points = np.fromfile(real / "gaze ps1.raw", "<f4").reshape(-1, 2).astype(np.float64)
    decoded = decode_each([real / f"{SCENE}1.mp4"])
    device = RecordingDevice(real, fast=True)
    with device as info:
        samples = [checked(sample, decoded) for sample in play(device)]
    assert next(decoded, None) is None
    assert (info.frame_width, info.frame_height) == (1600, 1200)
    assert (info.starts_at, info.ends_at) == (int(times[0]), int(times[-1]))
    assert info.frame_rate == pytest.approx(143 / ((times[-1] - times[0]) / 1e9))
    assert info.gaze_rate == pytest.approx(638 / ((gaze_times[-1] - gaze_times[0]) / 1e9))
    assert info.gaze_from is None and not info.detects_fixations
    frames, gaze = of(SceneFrame, samples), of(GazeSample, samples)
    assert len(frames) == 144 and len(gaze) == 639 and len(samples) == 783
    assert [frame.captured_at for frame in frames] == times.tolist()
    assert [frame.index for frame in frames] == list(range(144))
    assert [sample.captured_at for sample in gaze] == gaze_times.tolist()
    assert [(sample.x, sample.y) for sample in gaze] == [(x / 1600, y / 1200) for x, y in points]
    assert all(sample.worn for sample in gaze)
    assert all(sample.arrived_at == sample.captured_at for sample in samples)
    assert [s.captured_at for s in samples] == sorted(times.tolist() + gaze_times.tolist())
    assert device.counts().frames.delivered == 144 and device.counts().gaze.delivered == 639


def test_frames_of_the_real_recording_are_picked_out_by_their_indices(real):
    wanted = [143, 0, 61, 60, 119, 5, 143]
    frames = enumerate(decode_each([real / f"{SCENE}1.mp4"]))
    expected = {index: pixels for index, pixels in frames if index in wanted}
    picked = FrameReader(describe(real).video).frames(wanted)
    assert all(np.array_equal(a, expected[i]) for a, i in zip(picked, wanted, strict=True))


def test_a_recording_in_two_parts_is_one_stream(tmp_path):
    drawn = draw_neon(tmp_path / "rec", parts=(12, 9))
    decoded = list(decode_each(drawn.videos))
    device = RecordingDevice(drawn.path, fast=True)
    with device:
        frames = of(SceneFrame, play(device))
    assert [frame.captured_at for frame in frames] == drawn.frame_times.tolist()
    assert [frame.index for frame in frames] == list(range(21))
    assert all(np.array_equal(f.pixels, p) for f, p in zip(frames, decoded, strict=True))
    picked = FrameReader(describe(drawn.path).video).frames([20, 11, 12])
    assert all(np.array_equal(a, decoded[i]) for a, i in zip(picked, (20, 11, 12), strict=True))


def test_gaze_says_when_the_glasses_were_off(tmp_path):
    drawn = draw_neon(tmp_path / "rec", not_worn=(3, 4, 100))
    gaze = describe(drawn.path).gaze
    assert np.flatnonzero(~gaze.worn).tolist() == [3, 4, 100]
    assert np.array_equal(gaze.x, drawn.gaze[:, 0].astype(np.float64) / 64)
    assert np.array_equal(gaze.y, drawn.gaze[:, 1].astype(np.float64) / 48)
    assert gaze.x.max() > 1  # beyond the edge of the camera's view


def test_a_recording_that_says_nothing_of_being_worn_was_worn(tmp_path):
    drawn = draw_neon(tmp_path / "rec", not_worn=(3,))
    (drawn.path / "worn ps1.raw").unlink()
    assert describe(drawn.path).gaze.worn.all()


def test_gaze_that_is_no_number_is_no_gaze(tmp_path):
    drawn = draw_neon(tmp_path / "rec")
    points = drawn.gaze.copy()
    points[7, 1] = np.nan
    points.tofile(drawn.path / "gaze ps1.raw")
    gaze = describe(drawn.path).gaze
    assert np.flatnonzero(~gaze.worn).tolist() == [7]
    assert np.isfinite(gaze.x).all() and np.isfinite(gaze.y).all()


def test_fixations_are_open_from_their_onset_and_closed_at_their_end(tmp_path):
    first = Span(START + 100_000_000, START + 350_000_001, (16, 12), (32, 24))
    second = Span(START + 400_000_000, START + 600_000_000, (48, 36), (8, 6))
    blink = Span(START + 360_000_000, START + 390_000_000)
    drawn = draw_neon(tmp_path / "rec", fixations=(first, second), blinks=(blink,))
    device = RecordingDevice(drawn.path, fast=True)
    with device as info:
        assert info.detects_fixations
        samples = list(play(device))
    assert of(Fixation, samples) == [
        Fixation(first.start, first.start, 0.25, 0.25, first.start, None, "device"),
        Fixation(first.end, first.end, 0.5, 0.5, first.start, first.end, "device"),
        Fixation(second.start, second.start, 0.75, 0.75, second.start, None, "device"),
        Fixation(second.end, second.end, 0.125, 0.125, second.start, second.end, "device"),
    ]
    assert of(Blink, samples) == [Blink(blink.end, blink.end, blink.start, blink.end)]
    captured = [sample.captured_at for sample in samples]
    assert captured == sorted(captured)


def test_a_damaged_video_adds_no_lines_of_the_decoder(tmp_path):
    drawn = draw_neon(tmp_path / "rec")
    (video,) = drawn.videos
    data = bytearray(video.read_bytes())
    place, size, _ = packet_places(video)[20]
    data[place : place + size] = bytes(size)
    video.write_bytes(data)
    script = (
        "from pathlib import Path\n"
        "from devices.recording.playback import RecordingDevice\n"
        f"device = RecordingDevice(Path({str(drawn.path)!r}), fast=True)\n"
        "with device as info:\n"
        "    device.clock.sleep_until(info.ends_at)\n"
        "    print(*device.poll().notices)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stderr == "" and "stops decoding at frame 20" in run.stdout
