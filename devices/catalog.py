"""Devices by name. Each is imported when it is opened: some take seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from devices.clock import SimulatedClock
from devices.device import Device, DeviceError


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """What a person may say of a device; each device takes what concerns it.

    `path`: a recording, or many, of which `recording` names one; `strict`: only a whole one;
    `fixations`: where the fixation file of a plain video lies; `fast`: don't wait for real time.
    `address`, `port`: where a live device is found. `transport`: of a Neon's streams, None
    for UDP until packets are lost. `undistort`: a Neon's gaze as an ideal camera would see it.
    `confidence`: gaze of a Core below it is none, None for Capture's own limit.
    `seed`, `seconds`: of a synthetic wearer. `sound`: take what its microphone hears;
    `microphone`: this computer's, in place of that: its name, or "" for the default one, or PAGE.
    """

    path: Path | None = None
    recording: str | None = None
    strict: bool = False
    fixations: tuple[Path, ...] = ()
    fast: bool = False
    address: str | None = None
    port: int | None = None
    transport: Literal["udp", "tcp"] | None = None
    undistort: bool = False
    confidence: float | None = None
    seed: int = 0
    seconds: float | None = None
    sound: bool = False
    microphone: str | None = None


def open_device(name: str, options: DeviceOptions) -> Device:
    """A device, not yet connected. Raises DeviceError for a name that is not known."""
    if name not in _DEVICES:
        raise DeviceError(f"unknown device {name!r}: choose one of {', '.join(device_names())}")
    if options.microphone is None:
        return _DEVICES[name](options)
    from devices.microphone.device import PAGE, MicrophoneDevice, expect_sound, open_microphone

    inner = _DEVICES[name](replace(options, sound=False))
    opener = expect_sound if options.microphone == PAGE else open_microphone
    return MicrophoneDevice(inner, options.microphone, opener)


def device_names() -> tuple[str, ...]:
    """The names of all devices."""
    return tuple(_DEVICES)


def _recording(options: DeviceOptions) -> Device:
    from devices.recording.playback import RecordingDevice

    if options.path is None:
        raise DeviceError("the device 'recording' needs --path: a folder or a video file")
    return RecordingDevice(
        options.path,
        options.fast,
        options.fixations,
        name=options.recording,
        strict=options.strict,
        sound=options.sound,
    )


def _session(options: DeviceOptions) -> Device:
    from devices.session.device import SessionDevice

    if options.path is None:
        raise DeviceError("the device 'session' needs --path: a folder that --session wrote")
    return SessionDevice(options.path, options.fast, options.sound)


def _neon(options: DeviceOptions) -> Device:
    from devices.neon.device import NeonDevice

    return NeonDevice(
        options.address,
        options.port,
        transport=options.transport,
        undistort=options.undistort,
        sound=options.sound,
    )


def _core(options: DeviceOptions) -> Device:
    from devices.core.device import CoreDevice
    from devices.core.messages import LEAST_CONFIDENCE

    least = LEAST_CONFIDENCE if options.confidence is None else options.confidence
    return CoreDevice(options.address, options.port, confidence=least)


def _webcam(options: DeviceOptions) -> Device:
    from devices.webcam.camera import CameraSource
    from devices.webcam.device import WebcamDevice

    return WebcamDevice(CameraSource(options.address) if options.address else None)


def _synthetic(options: DeviceOptions) -> Device:
    from devices.synthetic.device import SyntheticDevice

    clock = SimulatedClock(time.time_ns()) if options.fast else None
    return SyntheticDevice(options.seed, options.seconds, clock)


_DEVICES: dict[str, Callable[[DeviceOptions], Device]] = {
    "synthetic": _synthetic,
    "recording": _recording,
    "session": _session,
    "neon": _neon,
    "core": _core,
    "webcam": _webcam,
}
