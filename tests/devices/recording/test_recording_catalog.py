"""Devices by name, and what opening one imports."""

import subprocess
import sys
from pathlib import Path

import pytest
from drawn_recording import draw_fixations, draw_neon, draw_video

from devices.catalog import DeviceOptions, device_names, open_device
from devices.clock import SimulatedClock, SystemClock
from devices.device import DeviceError

ROOT = Path(__file__).parents[3]


def test_an_unknown_device_is_refused_with_the_names_of_the_known_ones():
    with pytest.raises(DeviceError, match=r"unknown device 'tobii'.*recording"):
        open_device("tobii", DeviceOptions())
    assert "recording" in device_names()


def test_a_recording_needs_a_path():
    with pytest.raises(DeviceError, match="--path"):
        open_device("recording", DeviceOptions())


@pytest.mark.parametrize(("fast", "clock"), [(True, SimulatedClock), (False, SystemClock)])
def test_a_recording_takes_its_options(tmp_path, fast, clock):
    video = draw_video(tmp_path / "clip.mp4", 4, rate=24)
    fixations = draw_fixations(tmp_path / "elsewhere" / "any.csv", [(0.5, 0.5, 0.0, 0.1)])
    options = DeviceOptions(path=video, fixations=(fixations,), fast=fast)
    device = open_device("recording", options)
    with device as info:
        assert info.gaze_from == "fixation file"
        assert type(device.clock) is clock


def test_a_device_is_imported_when_it_is_opened_and_no_reader_needs_a_heavy_library(tmp_path):
    folder = draw_neon(tmp_path / "rec").path
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from devices.catalog import DeviceOptions, open_device\n"
        "assert not {'av', 'devices.recording', 'pupil_labs'} & set(sys.modules)\n"
        f"open_device('recording', DeviceOptions(path=Path({str(folder)!r}))).connect()\n"
        "assert 'av' in sys.modules\n"
        "assert not {'pupil_labs', 'pandas', 'torch'} & set(sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
