"""What a container says about its frames: upright, square pixels, their order, streams joined."""

import struct

import numpy as np
import pytest
from drawn_recording import copy_packets, decode_each, draw_neon, draw_streamgaze, draw_video

from devices.recording.formats import describe
from devices.recording.playback import RecordingDevice
from devices.recording.video import FrameReader, VideoCursor, track
from devices.samples import SceneFrame

UNIT = 1 << 16
MATRICES = {  # of an MP4's track header: how players turn the picture, degrees to the right
    0: (UNIT, 0, 0, UNIT),
    90: (0, UNIT, -UNIT, 0),
    180: (-UNIT, 0, 0, -UNIT),
    270: (0, -UNIT, UNIT, 0),
}
B_FRAMES = {"x264-params": "scenecut=0:bframes=2:b-adapt=0:keyint=30"}
PYRAMID = {"x264-params": "scenecut=0:bframes=3:b-adapt=0:b-pyramid=normal:keyint=30:open-gop=1"}


def turn(path, degrees):
    """Write into a video's header that it is to be shown turned to the right."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") - 4 + 48
    a, b, c, d = MATRICES[degrees]
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def marked_video(path, marks):
    """A grey video of one white square at `marks` (x, y), 16 pixels large."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        for _ in range(5):
            pixels = np.full((64, 128, 3), 40, np.uint8)
            x, y = marks
            pixels[y : y + 16, x : x + 16] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("degrees", "shape", "seen_at"),
    [
        (0, (64, 128), (8, 8)),  # (x, y) of the middle of the mark that was filmed at the top left
        (90, (128, 64), (55, 8)),
        (180, (64, 128), (119, 55)),
        (270, (128, 64), (8, 119)),
    ],
)
def test_a_picture_that_was_filmed_lying_on_its_side_stands_upright(
    tmp_path, degrees, shape, seen_at
):
    path = turn(marked_video(tmp_path / "clip.mp4", (0, 0)), degrees)
    video = track([path])
    assert (video.height, video.width) == shape
    for pixels in FrameReader(video).frames([0, 4]):
        assert pixels.shape[:2] == shape
        down, across = np.nonzero(pixels[:, :, 0] > 150)
        assert (across.mean(), down.mean()) == pytest.approx(seen_at, abs=1.5)


def test_gaze_on_upright_frames_is_where_the_tracker_says(tmp_path):
    drawn = draw_neon(tmp_path / "rec")
    turn(drawn.videos[0], 90)
    read = describe(drawn.path)
    assert (read.video.width, read.video.height) == (48, 64)
    assert np.array_equal(read.gaze.x, drawn.gaze[:, 0].astype(float) / 48)


@pytest.mark.parametrize(
    ("ratio", "size"),
    [("2/1", (128, 48)), ("1/2", (64, 96)), ("1/1", (64, 48)), ("999/1", (64, 48))],
)
def test_pixels_that_are_not_square_are_made_so(tmp_path, ratio, size):
    path = draw_video(tmp_path / "clip.mp4", 4, codec_options={"x264-params": f"sar={ratio}"})
    video = track([path])
    assert (video.width, video.height) == size
    (pixels,) = FrameReader(video).frames([2])
    assert pixels.shape == (size[1], size[0], 3)
    *_, plain, _ = decode_each([path])
    shrunk = pixels[:: size[1] // 48, :: size[0] // 64].astype(int)
    assert np.abs(shrunk - plain).mean() < 12


@pytest.mark.parametrize("options", [B_FRAMES, PYRAMID], ids=["b frames", "pyramid"])
def test_h264_in_avi_is_not_late(tmp_path, options):
    path = draw_video(tmp_path / "clip.avi", 100, b_frames=3, codec_options=options)
    decoded = list(decode_each([path]))
    video = track([path])
    assert video.count == len(decoded) == 100
    cursor = VideoCursor(video)
    for index, pixels in enumerate(decoded):
        assert np.array_equal(cursor.read(index), pixels), index
    assert np.array_equal(FrameReader(video).frames([88])[0], decoded[88])


def test_transport_streams_joined_end_to_end_are_one_video(tmp_path):
    one = draw_video(tmp_path / "1.ts", 30, b_frames=2)
    two = draw_video(tmp_path / "2.ts", 25, b_frames=2, size=(96, 72), key_every=5)
    joined = draw_streamgaze(tmp_path, [(0.5, 0.5, 0.2, 1.5)]).with_suffix(".ts")
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    decoded = list(decode_each([joined]))
    assert len(decoded) == 55 and decoded[-1].shape == (72, 96, 3)
    device = RecordingDevice(joined, fast=True)
    with device as info:
        device.clock.sleep_until(info.ends_at)
        frames = [s for s in device.poll().samples if isinstance(s, SceneFrame)]
    assert [frame.index for frame in frames] == list(range(55))
    assert device.counts().frames.dropped == {}
    seconds = np.array([frame.captured_at - frames[0].captured_at for frame in frames]) / 1e9
    assert seconds == pytest.approx(np.arange(55) / 30, abs=1e-4)
    for frame, pixels in zip(frames, decoded, strict=True):
        assert frame.pixels.shape == (48, 64, 3)
        if pixels.shape == (48, 64, 3):
            assert np.array_equal(frame.pixels, pixels)
        else:  # the same picture, made as large as the others
            quarter = pixels[::3, ::3].mean(axis=2)
            assert np.abs(frame.pixels[::2, ::2].mean(axis=2) - quarter).mean() < 20


def test_a_clip_cut_without_encoding_keeps_its_frames(tmp_path):
    whole = draw_video(tmp_path / "whole.mp4", 60, key_every=30)
    clip = copy_packets(whole, tmp_path / "clip.mp4", 30, 60, zero=30)
    decoded = list(decode_each([whole]))
    cursor = VideoCursor(track([clip]))
    assert all(np.array_equal(cursor.read(i), decoded[30 + i]) for i in range(30))


def test_a_name_that_a_browser_gave_to_a_copy_is_no_part(tmp_path):
    drawn = draw_neon(tmp_path / "rec", parts=(12,))
    for name in ("Neon Scene Camera v1 ps1 (1).mp4", "Neon Scene Camera v1 ps1.mp4.part"):
        (drawn.path / name).write_bytes(drawn.videos[0].read_bytes())
    (drawn.path / "gaze ps1 (1).raw").write_bytes(b"1234")
    read = describe(drawn.path, strict=True)
    assert read.video.count == 12 and read.gaze.times.size == 200


@pytest.mark.parametrize("damage", ["empty", "no index"])
def test_a_second_part_that_was_never_finished_leaves_the_first(tmp_path, damage):
    drawn = draw_neon(tmp_path / "rec", parts=(20, 9))
    data = drawn.videos[1].read_bytes()
    drawn.videos[1].write_bytes(b"" if damage == "empty" else data[: len(data) // 3])
    read = describe(drawn.path)
    assert read.frame_times.tolist() == drawn.frame_times[:20].tolist()
    (notice,) = read.notices
    assert "9 of 29 frames left out" in notice and "ps2.mp4" in notice


def test_a_part_that_begins_before_the_one_before_it_ends(tmp_path):
    drawn = draw_neon(tmp_path / "rec", parts=(40, 40), gaze=400)
    half = 500_000_000
    second = drawn.frame_times[40:] - half
    second.tofile(drawn.videos[1].with_suffix(".time"))
    for part, name in ((drawn.gaze_times, "time"), (drawn.gaze, "raw")):
        moved = part[200:] - half if name == "time" else part[200:]
        part[:200].tofile(drawn.path / f"gaze ps1.{name}")
        moved.tofile(drawn.path / f"gaze ps2.{name}")
    read = describe(drawn.path)
    kept = second > drawn.frame_times[39]
    times = [*drawn.frame_times[:40], *second[kept]]
    assert read.frame_times.tolist() == times
    decoded = list(decode_each(drawn.videos))
    cursor = VideoCursor(read.video)
    numbers = [*range(40), *(40 + np.flatnonzero(kept))]
    assert all(np.array_equal(cursor.read(i), decoded[n]) for i, n in enumerate(numbers))
    late = drawn.gaze_times[200:] - half
    gaze = [*drawn.gaze_times[:200], *late[late > drawn.gaze_times[199]]]
    assert read.gaze.times.tolist() == gaze
    assert f"{np.sum(~kept)} of 80 frames left out" in read.notices[0]
    assert f"{400 - len(gaze)} of 400 gaze samples left out" in read.notices[0]
