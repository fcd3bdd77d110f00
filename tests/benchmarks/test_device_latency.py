"""The table of the device latency benchmark, from delays that are known."""

import pytest

from benchmarks.device_latency import Delays, Measurement, arguments, findings, measure, sheets
from devices.device import Delivery, DeviceCounts, DeviceError, StreamCounts
from devices.neon.device import NeonDevice

COUNTS = DeviceCounts(StreamCounts(10, 8, {"packet loss": 2}), StreamCounts(50, 50))


def measured(gaze_ms, frame_ms):
    delays = [Delays([ms] * 20, [ms + 1] * 20) for ms in (gaze_ms, frame_ms)]
    return Measurement(*delays, interval=33.3, counts=COUNTS)


def test_limits_are_met_or_not():
    met = [found.is_met for found in findings(measured(gaze_ms=0.5, frame_ms=40.0))]
    assert met == [True] * 4
    met = [found.is_met for found in findings(measured(gaze_ms=7.0, frame_ms=60.0))]
    assert met == [False, False, True, False]


def test_delays_and_losses_have_rows():
    delays, samples = sheets(measured(gaze_ms=0.5, frame_ms=40.0))
    assert delays.rows[1] == ("gaze: capture to available", 20, 1.5, 1.5, 1.5)
    assert samples.rows == (("frames", 10, 8, "2 packet loss"), ("gaze", 50, 50, "none"))


def test_too_few_samples_are_one_clear_line(monkeypatch):
    device = NeonDevice("127.0.0.1:1")
    monkeypatch.setattr(device, "_collect", lambda: Delivery((), 0, 0))
    monkeypatch.setattr("benchmarks.device_latency.WARM_UP", 0.0)
    with pytest.raises(DeviceError, match="too few samples"):
        measure(device, 0.01, 0.1)


def test_the_command_line():
    options = arguments(["--transport", "tcp", "--seconds", "5"])
    assert (options.transport, options.seconds, options.address) == ("tcp", 5.0, None)
