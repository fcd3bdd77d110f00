"""A real recording through the emulator and the device: bit for bit, sample for sample."""

import time
from contextlib import ExitStack

import av
import numpy as np
import pytest

from devices.emulator.emulator import Emulator
from devices.emulator.phone import Settings
from devices.emulator.recorded import load_recording
from devices.emulator.truth import Truth
from devices.neon import NeonDevice
from devices.samples import GazeSample, SceneFrame

pytest.importorskip("pupil_labs.realtime_api")


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "neon-recording"


@pytest.fixture(scope="module")
def decoded(folder):
    with av.open(str(folder / "Neon Scene Camera v1 ps1.mp4")) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_frames_are_those_of_the_file_and_gaze_is_that_of_the_recording(folder, decoded, transport):
    programme = load_recording(folder)
    points = np.fromfile(folder / "gaze ps1.raw", "<f4").reshape(-1, 2)
    settings = Settings(gaze_size=65, report_delay=0.05)
    frames, gaze = [], []
    with Emulator(programme, settings=settings) as emulator, ExitStack() as stack:
        device = NeonDevice(emulator.address, emulator.port, transport=transport)
        stack.enter_context(device)
        truth = Truth(programme, emulator.started_at)
        # From the key frame at 2 s on; the gaze of the recording begins after 1.06 s.
        while emulator.elapsed() < 3.5:
            for sample in device.poll().samples:
                if isinstance(sample, SceneFrame):
                    frames.append((truth.picture_at(sample.captured_at), sample))
                elif isinstance(sample, GazeSample):
                    gaze.append((truth.gaze_at(sample.captured_at), sample))
            time.sleep(0.002)
        counts = device.counts()
    indices = [index for (index, _), _ in frames]
    assert indices == list(range(60, 60 + len(frames))) and len(frames) > 35
    for (index, error), sample in frames:
        assert np.array_equal(sample.pixels, decoded[index])
        assert abs(error) < 5_000_000
    places = [index for (index, _), _ in gaze]
    assert places == list(range(len(gaze))) and len(gaze) > 350
    recorded = points.astype(float) / (1600, 1200)
    assert [(s.x, s.y) for _, s in gaze] == list(map(tuple, recorded[: len(gaze)]))
    assert all(sample.worn and abs(error) < 5_000_000 for (_, error), sample in gaze)
    assert set(counts.frames.dropped) == {
        "before the first sender report", "waiting for a key frame"
    }  # fmt: skip
    assert not counts.gaze.dropped
