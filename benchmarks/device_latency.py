"""How long a sample takes from the tracker to its user: `python -m benchmarks device_latency`.

An emulated phone runs in a process of its own; the device is polled as the live loop would poll
it. `arrival` is when the last packet of a sample was read from its socket, `capture` when the
sample was taken, `available` when a poll handed it over (at most `--poll-ms` after it could have).
Measure on an idle machine. With `--address` a real phone is measured instead; the rows from
capture then include its own camera, encoder and network.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.findings import Finding
from benchmarks.instruments.result import Result, Sheet, add_outputs, publish
from devices import numbers
from devices.device import DeviceCounts, DeviceError
from devices.neon.device import NeonDevice
from devices.parser import Parser, complain
from devices.samples import GazeSample, SceneFrame
from runtime.terminal import SafeConsole

PERCENTILES = (50, 95, 99)
GAZE_LIMITS_MS = (1.0, 5.0, 10.0)
FRAME_LIMIT_INTERVALS = 1.5
WARM_UP = 3.0
"""Seconds that are not measured: until the first key frame."""


@dataclass(slots=True)
class Delays:
    """Milliseconds of every sample of one kind."""

    from_arrival: list[float] = field(default_factory=list)
    from_capture: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured; `interval` is the mean time between two frames, in ms."""

    gaze: Delays
    frames: Delays
    interval: float
    counts: DeviceCounts


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks device_latency")
    parser.add_argument("--recording", metavar="DIR", help="what the emulated phone plays")
    parser.add_argument("--address", help="of a real phone, in place of the emulated one")
    parser.add_argument("--transport", choices=("udp", "tcp"), default="udp")
    parser.add_argument("--seconds", type=numbers.seconds, default=60.0)
    parser.add_argument("--poll-ms", type=numbers.number(0), default=0.2, help="between two polls")
    add_outputs(parser)
    return parser.parse_args(command_line)


@contextmanager
def emulator(recording: str | None, seconds: float) -> Iterator[str]:
    """The address of an emulated phone in a process of its own. Raises DeviceError."""
    played = ["--recording", recording] if recording else ["--card"]
    lifetime = str(seconds + WARM_UP + 60)
    process = subprocess.Popen(
        [sys.executable, "-m", "devices.emulator", *played, "--port", "0", "--seconds", lifetime],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        first = process.stdout.readline()
        if " at " not in first:
            raise DeviceError("the emulator did not start: its message is above")
        yield first.partition(" at ")[2].partition(",")[0]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def measure(device: NeonDevice, seconds: float, poll_ms: float) -> Measurement:
    """Poll a connected device for `seconds` after the warm-up."""
    gaze, frames = Delays(), Delays()
    captured: list[int] = []
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds + WARM_UP:
        samples = device.poll().samples
        now = device.clock.now()
        if elapsed > WARM_UP:
            for sample in samples:
                if isinstance(sample, (GazeSample, SceneFrame)):
                    delays = gaze if isinstance(sample, GazeSample) else frames
                    delays.from_arrival.append((now - sample.arrived_at) / 1e6)
                    delays.from_capture.append((now - sample.captured_at) / 1e6)
                if isinstance(sample, SceneFrame):
                    captured.append(sample.captured_at)
        time.sleep(poll_ms / 1000)
    if not gaze.from_arrival or len(captured) < 2:
        raise DeviceError("too few samples came to measure: check the stream")
    return Measurement(gaze, frames, float(np.median(np.diff(captured))) / 1e6, device.counts())


def sheets(measurement: Measurement) -> tuple[Sheet, Sheet]:
    """Percentiles of the delays, and what became of the samples."""
    delays = (
        ("gaze: arrival to available", measurement.gaze.from_arrival),
        ("gaze: capture to available", measurement.gaze.from_capture),
        ("frame: arrival to available", measurement.frames.from_arrival),
        ("frame: capture to available", measurement.frames.from_capture),
    )
    columns = ("", "samples", *(f"p{p}" for p in PERCENTILES))
    rows = tuple(
        (name, len(values), *map(float, np.percentile(values, PERCENTILES)))
        for name, values in delays
    )
    counts = (("frames", measurement.counts.frames), ("gaze", measurement.counts.gaze))
    told = tuple(
        (name, stream.received, stream.delivered, _causes(stream.dropped))
        for name, stream in counts
    )
    return (
        Sheet("from the tracker to its user, ms", columns, rows),
        Sheet("samples", ("", "received", "delivered", "dropped"), told),
    )


def _causes(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {cause}" for cause, count in sorted(dropped.items())) or "none"


def findings(measurement: Measurement) -> tuple[Finding, ...]:
    """What is asked of the delays from arrival on."""
    frame_limit = FRAME_LIMIT_INTERVALS * measurement.interval
    gaze = np.percentile(measurement.gaze.from_arrival, PERCENTILES)
    frames = float(np.percentile(measurement.frames.from_arrival, 95))
    return (
        *(
            Finding(f"gaze: arrival to available, p{percentile}", float(figure), limit, "ms")
            for percentile, figure, limit in zip(PERCENTILES, gaze, GAZE_LIMITS_MS, strict=True)
        ),
        Finding("frame: arrival to available, p95", frames, frame_limit, "ms"),
    )


def main(command_line: Sequence[str] | None = None) -> int:
    """The exit status: 1 after an error, which is one line, or where a limit is not met."""
    options = arguments(command_line)
    try:
        if options.address:
            measurement = _measured(options, options.address)
        else:
            with emulator(options.recording, options.seconds) as address:
                measurement = _measured(options, address)
        result = Result(
            "device_latency",
            Conditions.here(
                f"{options.seconds:g} s of samples",
                input_hash(str(options.recording), str(options.address), options.transport),
            ),
            sheets(measurement),
            findings(measurement),
        )
        return publish(result, options, SafeConsole())
    except (DeviceError, OSError) as error:
        complain(error)
        return 1


def _measured(options: argparse.Namespace, address: str) -> Measurement:
    device = NeonDevice(address, transport=options.transport)
    with device:
        return measure(device, options.seconds, options.poll_ms)


if __name__ == "__main__":
    sys.exit(main())
