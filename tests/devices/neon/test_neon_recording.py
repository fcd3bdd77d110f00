"""A real recording through the emulator and the device: bit for bit, sample for sample."""

import time
from contextlib import ExitStack
from itertools import islice

import av
import numpy as np
import pytest

from devices.emulator.emulator import Emulator
from devices.emulator.phone import Settings
from devices.emulator.programmes.recorded import load_recording
from devices.emulator.programmes.truth import Truth
from devices.neon.device import NeonDevice
from devices.samples import GazeSample, SceneFrame

pytest.importorskip("pupil_labs.realtime_api")

KEY_FRAME, LAST = 60, 112


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "neon-recording"


@pytest.fixture(scope="module")
def decoded(folder):
    """{number: pixels} of the frames from the second key frame on, as the file decodes."""
    with av.open(str(folder / "Neon Scene Camera v1 ps1.mp4")) as container:
        return {
            number: frame.to_ndarray(format="rgb24")
            for number, frame in enumerate(islice(container.decode(video=0), LAST + 1))
            if number >= KEY_FRAME
        }


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
        while emulator.elapsed() < 3.4:
            for sample in device.poll().samples:
                if isinstance(sample, SceneFrame):
                    index, error = truth.picture_at(sample.captured_at)
                    frames.append((index, error, np.array_equal(sample.pixels, decoded[index])))
                elif isinstance(sample, GazeSample):
                    gaze.append((truth.gaze_at(sample.captured_at), sample))
            time.sleep(0.002)
        counts = device.counts()
    indices = [index for index, _, _ in frames]
    assert indices == list(range(KEY_FRAME, KEY_FRAME + len(frames))) and len(frames) > 35
    assert all(exact and abs(error) < 5_000_000 for _, error, exact in frames)
    places = [index for (index, _), _ in gaze]
    assert places == list(range(len(gaze))) and len(gaze) > 350
    recorded = points.astype(float) / (1600, 1200)
    assert [(s.x, s.y) for _, s in gaze] == list(map(tuple, recorded[: len(gaze)]))
    assert all(sample.worn and abs(error) < 5_000_000 for (_, error), sample in gaze)
    assert set(counts.frames.dropped) == {
        "before the first sender report", "waiting for a key frame"
    }  # fmt: skip
    assert not counts.gaze.dropped
