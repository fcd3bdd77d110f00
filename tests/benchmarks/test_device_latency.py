"""The table of the device latency benchmark, from delays that are known."""

import io

import pytest
from rich.console import Console

from benchmarks.device_latency import Delays, Measurement, arguments, measure, report
from devices.device import Delivery, DeviceCounts, DeviceError, StreamCounts
from devices.neon.device import NeonDevice

COUNTS = DeviceCounts(StreamCounts(10, 8, {"packet loss": 2}), StreamCounts(50, 50))


def printed(gaze_ms, frame_ms):
    delays = [Delays([ms] * 20, [ms + 1] * 20) for ms in (gaze_ms, frame_ms)]
    console = Console(record=True, width=160, file=io.StringIO())
    report(Measurement(*delays, interval=33.3, counts=COUNTS), console)
    return console.export_text()


def test_limits_are_met_or_not():
    text = printed(gaze_ms=0.5, frame_ms=40.0)
    assert text.count("met") == 4 and "NOT" not in text
    assert "2 packet loss" in text
    text = printed(gaze_ms=7.0, frame_ms=60.0)
    assert text.count("NOT met") == 3


def test_too_few_samples_are_one_clear_line(monkeypatch):
    device = NeonDevice("127.0.0.1:1")
    monkeypatch.setattr(device, "_collect", lambda: Delivery((), 0, 0))
    monkeypatch.setattr("benchmarks.device_latency.WARM_UP", 0.0)
    with pytest.raises(DeviceError, match="too few samples"):
        measure(device, 0.01, 0.1)


def test_the_command_line():
    options = arguments(["--transport", "tcp", "--seconds", "5"])
    assert (options.transport, options.seconds, options.address) == ("tcp", 5.0, None)
