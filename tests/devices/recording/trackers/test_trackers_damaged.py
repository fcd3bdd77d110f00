"""Any file of any recording, damaged in any way: it is read or refused in one line."""

import shutil
import warnings

import numpy as np
import pytest
from drawn_recording import START, Span, draw_cloud, draw_neon
from drawn_trackers import (
    core_times,
    draw_core,
    draw_core_export,
    draw_glasses,
    draw_invisible,
    draw_player_export,
)

from devices.device import DeviceError
from devices.recording.playback import RecordingDevice

SPANS = {
    "fixations": [Span(START + 10**8, START + 2 * 10**8, (3, 4), (5, 6))],
    "blinks": [Span(START + 5, START + 10**7)],
}


def draw_seen_core(folder):
    at = float(core_times([START + 10**8])[0])
    fixation = {"timestamp": at, "duration": 100.0, "norm_pos": [0.5, 0.5], "id": 1}
    blinks = [{"type": kind, "timestamp": at} for kind in ("onset", "offset")]
    draw_core(folder, fixations=[fixation], blinks=blinks)
    return folder


def draw_exported_core(folder):
    draw_core(folder)
    return draw_core_export(folder)[0]


def draw_exported_neon(folder):
    draw_neon(folder)
    return draw_player_export(folder)[0]


DRAW = {
    "neon": lambda folder: draw_neon(folder, **SPANS).path,
    "invisible": lambda folder: draw_invisible(folder, again=True).path,
    "cloud": lambda folder: draw_cloud(folder, **SPANS).path,
    "core": draw_seen_core,
    "core export": draw_exported_core,
    "player export": draw_exported_neon,
    "glasses": draw_glasses,
}


def damage(data, rng):
    """Cut off, overwritten here and there, or with something in between; None: gone."""
    data = bytearray(data)
    kind = rng.integers(5)
    if not data or kind == 0:
        return data[: rng.integers(len(data) + 1)]
    if kind == 1:
        for place in rng.integers(0, len(data), 12):
            data[place] = rng.integers(256)
        return data
    place = rng.integers(len(data))
    return [b"", data[:place] + rng.bytes(9) + data[place:], None][kind - 2]


@pytest.mark.parametrize("kind", DRAW)
def test_a_damaged_file_never_ends_in_a_traceback(tmp_path, kind):
    rng = np.random.default_rng(17)
    path = DRAW[kind](tmp_path / "whole")
    files = sorted(file for file in (tmp_path / "whole").rglob("*") if file.is_file())
    seen = {"read": 0, "refused": 0}
    for _ in range(24):
        copy = shutil.copytree(tmp_path / "whole", tmp_path / "copy")
        file = copy / files[rng.integers(len(files))].relative_to(tmp_path / "whole")
        damaged = damage(file.read_bytes(), rng)
        file.unlink()
        if damaged is not None:
            file.write_bytes(damaged)
        device = RecordingDevice(copy / path.relative_to(tmp_path / "whole"), fast=True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with device as info:
                    device.clock.sleep_until(min(info.ends_at, info.starts_at + 10**9))
                    lines = device.poll().notices
            seen["read"] += 1
        except DeviceError as error:
            lines = [str(error)]
            seen["refused"] += 1
        assert not any("\n" in line for line in lines)
        shutil.rmtree(copy)
    assert min(seen.values()) > 0
