"""What Pupil Capture means by confidence, blinks, growing fixations and formats of frames."""

import time

import numpy as np
import pytest

pytest.importorskip("zmq", reason="needs the extra 'core'")
pytest.importorskip("msgpack", reason="needs the extra 'core'")

from devices.catalog import DeviceOptions, open_device
from devices.core import messages
from devices.core.device import CoreDevice
from devices.emulator.capture import GAZE_RATE, PupilCapture
from devices.samples import Blink, Fixation, GazeSample, SceneFrame
from runtime.stream.fixation_rules import DeviceRule

SECOND = 1_000_000_000
MS = SECOND // 1000
SHUT = range(60, 84)  # samples of each second with closed eyes
WINDOW = 36  # samples that a fixation holds when Capture first says it


class BlinkingCapture(PupilCapture):
    """Eyes that close once a second and rest on one place between, as Capture tells it."""

    def _publish(self, stream, index, rate):
        if stream != "gaze":
            super()._publish(stream, index, rate)
            return
        tick = index % GAZE_RATE
        seconds = self._pupil_time(self.started_at + index * SECOND // rate)
        confidence = 0.0 if tick in SHUT else 0.59 if tick == 40 else 0.95
        datum = {"norm_pos": [0.3, 0.4], "confidence": confidence, "timestamp": seconds}
        self._send("gaze.3d.01.", datum)
        if tick in (SHUT.start, SHUT.stop):
            kind = "onset" if tick == SHUT.start else "offset"
            self._send("blinks", {"type": kind, "timestamp": seconds, "confidence": 0.7})
        rested = (tick - SHUT.stop) % GAZE_RATE
        if WINDOW <= rested < GAZE_RATE - len(SHUT) and index > WINDOW and index % 4 == 0:
            begun = {"timestamp": seconds - WINDOW / rate, "duration": 1000 * WINDOW / rate}
            self._send("fixations", datum | begun | {"id": index // GAZE_RATE})


def watched(capture, seconds, **options):
    found = []
    device = CoreDevice("127.0.0.1", capture.port, **options)
    with device:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found += device.poll().samples
            time.sleep(0.002)
    return found


@pytest.fixture(scope="module")
def seen():
    with BlinkingCapture() as capture:
        return capture.started_at, watched(capture, 2.6)


def tick_of(sample, started_at):
    return round((sample.captured_at - started_at) * GAZE_RATE / SECOND) % GAZE_RATE


def test_gaze_without_a_pupil_is_none(seen):
    started_at, samples = seen
    gaze = [sample for sample in samples if isinstance(sample, GazeSample)]
    assert len(gaze) > 100
    for sample in gaze:
        tick = tick_of(sample, started_at)
        assert sample.worn == (tick not in SHUT and tick != 40)


@pytest.mark.parametrize(("least", "worn"), [(0.0, True), (0.5, True), (0.9, False)])
def test_the_least_confidence_can_be_set(least, worn):
    datum = {"norm_pos": [0.3, 0.4], "confidence": 0.6}
    assert messages.gaze_sample(datum, 1, 1).worn
    assert messages.gaze_sample(datum, 1, 1, least).worn == worn
    device = open_device("core", DeviceOptions(address="127.0.0.1", confidence=least))
    assert device._confidence == least


def test_blinks_are_told_when_they_end(seen):
    started_at, samples = seen
    blinks = [sample for sample in samples if isinstance(sample, Blink)]
    assert blinks
    for blink in blinks:
        assert abs((blink.started_at - started_at) % SECOND - 500 * MS) < 3 * MS
        assert abs(blink.ended_at - blink.started_at - 200 * MS) < 3 * MS
        assert blink.captured_at == blink.ended_at


def test_its_growing_fixations_are_open_while_they_reach_the_present(seen):
    started_at, samples = seen
    rule, open_at, rested = DeviceRule(), 0, 0
    events = [sample for sample in samples if not isinstance(sample, SceneFrame)]
    for event in sorted(events, key=lambda sample: sample.captured_at):
        rule.feed(event)
        if event.captured_at - started_at < SECOND:
            continue
        since = (event.captured_at - started_at - 700 * MS) % SECOND
        if isinstance(event, GazeSample) and 400 * MS < since < 780 * MS:
            rested += 1
            active = rule.active(event.captured_at, 0.1)
            open_at += len(active)
            assert all((f.x, f.y) == (0.3, 0.6) and f.ended_at is None for f in active)
    assert rested > 50 and open_at > 0.95 * rested
    assert any(isinstance(sample, Fixation) for sample in samples)


@pytest.mark.parametrize("has", [("bgr",), ("yuv",)])
def test_a_camera_is_asked_for_what_it_has(has):
    with PupilCapture(camera_has=has) as capture:
        frames = [s for s in watched(capture, 0.5) if isinstance(s, SceneFrame)]
        assert len(frames) > 3
        since = frames[-1].captured_at - capture.started_at
        expected = capture.frame(round(since * 30 / SECOND))
    apart = np.abs(frames[-1].pixels.astype(int) - expected)
    assert np.median(apart) <= (0 if has == ("bgr",) else 3)


@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2)])
def test_planes_of_every_layout_are_read(across, down):
    """JFIF's own formula, at colours that whole blocks share."""
    height, width = 12, 10
    brightness = np.arange(height * width).reshape(height, width) + 60
    blue, red = (
        np.full((height // down, width // across), 140),
        np.full((height // down, width // across), 110),
    )
    data = np.concatenate([p.ravel() for p in (brightness, blue, red)]).astype(np.uint8)
    message = {"format": "yuv", "width": width, "height": height}
    seen = messages.pixels(message, data.tobytes())
    expected = np.stack(
        [
            brightness + 1.402 * (110 - 128),
            brightness - 0.344136 * (140 - 128) - 0.714136 * (110 - 128),
            brightness + 1.772 * (140 - 128),
        ],
        axis=-1,
    ).clip(0, 255)
    assert np.abs(seen - expected).max() <= 2
