"""A webcam whose picture is libav's test source, and a mouse that is moved by hand."""

import time

import numpy as np
import pytest

from devices.device import DeviceError
from devices.samples import GazeSample, SceneFrame
from devices.webcam.camera import CameraSource, captured_at
from devices.webcam.device import WebcamDevice
from devices.webcam.pointer import Centre, PreviewWindow, open_pointer

SECOND = 1_000_000_000
PICTURE = "color=c=0x{colour}:size=64x48:rate=30"


def camera(colour="ff0000"):
    return CameraSource(f"{PICTURE.format(colour=colour)},realtime", "lavfi")


class Mouse:
    kind = "mouse"

    def __init__(self, size):
        self.size, self.at, self.shown, self.closed = size, (0.25, 0.75), [], False

    def position(self):
        return self.at

    def show(self, pixels):
        self.shown.append(pixels)

    def close(self):
        self.closed = True


def collect(device, seconds):
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        found += device.poll().samples
        time.sleep(0.005)
    return found


def test_frames_are_rgb_and_gaze_is_the_mouse():
    mice = []

    def make(size):
        mice.append(Mouse(size))
        return mice[0]

    device = WebcamDevice(camera(), pointer=make)
    info = device.connect()
    try:
        assert (info.frame_width, info.frame_height, info.gaze_from) == (64, 48, "mouse")
        samples = collect(device, 0.4)
        mice[0].at = None
        away = collect(device, 0.2)
    finally:
        device.disconnect()
    frames = [s for s in samples if isinstance(s, SceneFrame)]
    gaze = [s for s in samples if isinstance(s, GazeSample)]
    assert len(frames) > 5 and [f.index for f in frames] == list(range(len(frames)))
    assert frames[0].pixels.dtype == np.uint8 and frames[0].pixels.shape == (48, 64, 3)
    assert np.abs(frames[0].pixels.astype(int) - (255, 0, 0)).max() < 8
    assert len(gaze) > 10 and {(s.x, s.y, s.worn) for s in gaze} == {(0.25, 0.75, True)}
    assert not [s for s in away if isinstance(s, GazeSample)][-1].worn
    assert mice[0].size == (64, 48) and mice[0].shown and mice[0].closed


def test_without_a_screen_gaze_is_the_centre_and_it_says_so(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    pointer = open_pointer((64, 48))
    assert isinstance(pointer, Centre)
    device = WebcamDevice(camera(), pointer=open_pointer)
    try:
        assert device.connect().gaze_from == "centre"
        gaze = [s for s in collect(device, 0.2) if isinstance(s, GazeSample)]
        assert {(s.x, s.y, s.worn) for s in gaze} == {(0.5, 0.5, True)}
    finally:
        device.disconnect()


def test_the_mouse_is_a_fraction_of_the_window():
    class Event:
        x, y = 160, 120

    window = PreviewWindow((1280, 960))
    assert window.position() is None
    window._moved(Event)
    assert window.position() == (0.25, 0.25)
    window._left(Event)
    assert window.position() is None


def test_a_camera_that_ends_is_told_and_opened_again():
    ending = CameraSource(f"{PICTURE.format(colour='00ff00')}:duration=0.2,realtime", "lavfi")
    device = WebcamDevice(ending, pointer=lambda size: Centre())
    device.connect()
    try:
        notices, frames, end = [], 0, time.monotonic() + 1.6
        while time.monotonic() < end:
            delivery = device.poll()
            notices += delivery.notices
            frames += sum(isinstance(s, SceneFrame) for s in delivery.samples)
            time.sleep(0.005)
        assert any("no data" in line for line in notices)
        assert any("data again" in line for line in notices)
        assert frames > 10
        assert device.clock.now() - delivery.frames_until < SECOND
    finally:
        device.disconnect()


def test_a_missing_camera_is_one_clear_line():
    with pytest.raises(DeviceError) as caught:
        WebcamDevice(CameraSource("/dev/video99")).connect()
    assert "/dev/video99" in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_camera_is_one_clear_line(tmp_path):
    path = tmp_path / "text"
    path.write_text("no camera")
    with pytest.raises(DeviceError, match="no other program uses it"):
        WebcamDevice(CameraSource(str(path))).connect()


def test_a_driver_that_dates_its_frames_is_believed_unless_it_makes_no_sense():
    now = 1_700_000_000 * SECOND
    assert captured_at(now - 20_000_000, now) == now - 20_000_000
    for stamp in (None, 5, now + 1, now - 3 * SECOND):
        assert captured_at(stamp, now) == now


def test_a_defect_in_the_pointer_or_the_camera_ends_no_thread(monkeypatch, capfd):
    mouse = Mouse((64, 48))
    device = WebcamDevice(camera(), pointer=lambda size: mouse)
    monkeypatch.setattr("devices.webcam.device.RETRY_SPACING", 0.05)
    with device:
        collect(device, 0.2)

        def defect(*_):
            raise RuntimeError("nobody thought of this")

        with monkeypatch.context() as patch:
            patch.setattr(mouse, "position", defect)
            patch.setattr(mouse, "show", defect)
            notices, end = [], time.monotonic() + 0.5
            while time.monotonic() < end:
                notices += device.poll().notices
                time.sleep(0.005)
        mouse.at = (float("nan"), 0.5)
        collect(device, 0.3)
        mouse.at = (0.25, 0.75)
        assert {type(s) for s in collect(device, 1.0)} == {GazeSample, SceneFrame}
    assert any(line.startswith("webcam: RuntimeError") for line in notices)
    assert any(line.startswith("gaze by mouse: RuntimeError") for line in notices)
    counts = device.counts()
    assert counts.gaze.dropped["not a valid position"] > 0
    for each in (counts.frames, counts.gaze):
        assert each.received == each.delivered + sum(each.dropped.values())
    assert capfd.readouterr().err == ""
