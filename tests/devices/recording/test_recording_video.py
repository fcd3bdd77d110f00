"""Frames picked out of a video by index: equal to decoding it all, however it was encoded."""

import numpy as np
import pytest
from drawn_recording import copy_packets, decode_each, draw_video

from devices.device import DeviceError
from devices.recording.video import FrameReader, VideoCursor, track

FRAMES = 150
NO_SCENE_CUTS = {"sc_threshold": "0"}
OPEN_GROUPS = {"x264-params": "open-gop=1:scenecut=0:bframes=2:b-adapt=0:keyint=30"}
INTRA_REFRESH = {"x264-params": "intra-refresh=1:keyint=30:bframes=0:scenecut=0"}
ENCODINGS = {
    "key frames": ("clip.mp4", {"key_every": 30, "codec_options": NO_SCENE_CUTS}),
    "one key frame": ("clip.mp4", {"key_every": 1000, "codec_options": NO_SCENE_CUTS}),
    "only key frames": ("clip.mp4", {"key_every": 1}),
    "b frames": ("clip.mp4", {"key_every": 30, "b_frames": 3, "codec_options": NO_SCENE_CUTS}),
    "open groups": ("clip.mp4", {"key_every": 30, "b_frames": 2, "codec_options": OPEN_GROUPS}),
    "intra refresh": ("clip.mp4", {"key_every": 30, "codec_options": INTRA_REFRESH}),
    "late start": ("clip.mp4", {"key_every": 30, "b_frames": 2, "first_stamp": 7}),
    "mpeg4": ("clip.mp4", {"key_every": 30, "b_frames": 2, "codec": "mpeg4"}),
    "fragments": ("clip.mp4", {"muxer_options": {"movflags": "frag_keyframe+empty_moov"}}),
    "matroska": ("clip.mkv", {"key_every": 30, "b_frames": 2}),
    "avi": ("clip.avi", {"key_every": 30, "b_frames": 2, "codec": "mpeg4"}),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_frame_is_the_one_of_its_index(tmp_path, encoding):
    name, options = ENCODINGS[encoding]
    path = draw_video(tmp_path / name, FRAMES, **options)
    decoded = list(decode_each([path]))
    video = track([path])
    assert video.count == len(decoded) == FRAMES
    reader = FrameReader(video)
    for wanted in ([0], [149], [29, 30, 31], [120, 3, 90, 90, 61], list(range(0, 150, 37))):
        picked = reader.frames(wanted)
        for index, pixels in zip(wanted, picked, strict=True):
            assert np.array_equal(pixels, decoded[index]), (encoding, wanted, index)


def test_every_single_frame_of_a_cut_clip(tmp_path):
    whole = draw_video(tmp_path / "whole.mp4", 90, key_every=30, b_frames=2)
    clip = copy_packets(whole, tmp_path / "clip.mp4", 0, 90, zero=12)
    decoded = list(decode_each([clip]))
    reader = FrameReader(track([clip]))
    assert len(decoded) < 90
    for index, pixels in enumerate(decoded):
        assert np.array_equal(reader.frames([index])[0], pixels)


def test_frames_of_several_files_run_on(tmp_path):
    paths = [draw_video(tmp_path / f"{n}.mp4", count) for n, count in enumerate((40, 50, 35))]
    decoded = list(decode_each(paths))
    wanted = [124, 0, 39, 40, 89, 90]
    picked = FrameReader(track(paths)).frames(wanted)
    assert all(np.array_equal(a, decoded[i]) for a, i in zip(picked, wanted, strict=True))


def test_what_lies_between_key_frames_is_not_decoded(tmp_path, monkeypatch):
    path = draw_video(tmp_path / "a.mp4", 300, key_every=30, codec_options=NO_SCENE_CUTS)
    video = track([path])
    served = []

    def counting(container, stream):
        for frame in decoded(container, stream):
            served.append(frame.pts)
            yield frame

    from devices.recording import video as module

    decoded = module.decoded
    monkeypatch.setattr(module, "decoded", counting)
    FrameReader(video).frames([5, 271, 285])
    assert len(served) == 6 + 16


def test_odd_characters_in_its_metadata_are_no_reason_to_refuse_a_video(tmp_path):
    path = draw_video(tmp_path / "clip.mp4", 5, title="TITLE")
    assert b"TITLE" in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"TITLE", b"\xff\xfe\xfd\xfc\xfb"))
    assert track([path]).count == 5


def test_an_index_outside_the_video_is_refused(tmp_path):
    reader = FrameReader(track([draw_video(tmp_path / "clip.mp4", 12)]))
    for index in (12, -1):
        with pytest.raises(DeviceError, match=f"no frame {index}: the video has 12"):
            reader.frames([0, index])
    assert reader.frames([]) == []


def test_a_cursor_goes_forward_only(tmp_path):
    cursor = VideoCursor(track([draw_video(tmp_path / "clip.mp4", 12)]))
    assert np.array_equal(cursor.read(7), cursor.read(7))
    with pytest.raises(ValueError, match="behind"):
        cursor.read(6)
    cursor.close()


def test_parts_of_different_sizes_are_refused(tmp_path):
    one = draw_video(tmp_path / "one.mp4", 3)
    two = draw_video(tmp_path / "two.mp4", 3, size=(32, 32))
    with pytest.raises(DeviceError, match=r"two\.mp4.*size"):
        track([one, two])
