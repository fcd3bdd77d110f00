"""A Neon recording as the emulator's programme: the pictures are sent as they were recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from devices.clock import NANOSECONDS
from devices.containers.opening import open_container
from devices.device import DeviceError
from devices.emulator.programmes.programme import GazePoint, Picture, Programme, SoundTrack
from devices.emulator.programmes.sound import load_sound
from devices.neon.sound.units import UNIT_SAMPLES
from devices.printable import printable


def load_recording(folder: Path) -> Programme:
    """Read the first part of a native Neon recording. Raises DeviceError if a file is missing.

    Times are those of the recording's own `.time` files, in ns from its first scene frame.
    """
    try:
        return _load(folder)
    except FileNotFoundError as error:
        raise DeviceError(
            f"{folder} is not a native Neon recording: {Path(error.filename).name} is missing"
        ) from None
    except (OSError, ValueError, IndexError, av.FFmpegError) as error:
        said = printable(str(error), 100)
        raise DeviceError(f"the recording {folder} is damaged ({said}): copy it anew") from None


def _load(folder: Path) -> Programme:
    times = _times(folder / "Neon Scene Camera v1 ps1.time")
    start = int(times[0])
    with open_container(_present(folder / "Neon Scene Camera v1 ps1.mp4")) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        length_size, parameters = parameter_sets(bytes(context.extradata))
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
        size = context.width, context.height
    pictures = tuple(
        Picture(int(at) - start, split_units(data, length_size))
        for at, data in zip(times, packets, strict=True)
    )
    length = int(times[-1] - start + np.median(np.diff(times)))
    return Programme(
        name=folder.name,
        width=size[0],
        height=size[1],
        parameters=parameters,
        length=length,
        pictures=pictures,
        gaze=_gaze(folder, start, int(times[-1]) - start),
        calibration=_present(folder / "calibration.bin").read_bytes(),
        sound=_sound(folder / "Neon Scene Camera v1 ps1.mp4", length),
    )


def _sound(video: Path, length: int) -> SoundTrack | None:
    """The microphone's track, cut to the length (ns) of the pictures; None where there is none."""
    with open_container(video) as container:
        if not container.streams.audio:
            return None
    track = load_sound(video)
    ends = (unit.at + UNIT_SAMPLES * NANOSECONDS // track.rate for unit in track.units)
    units = tuple(u for u, end in zip(track.units, ends, strict=True) if end <= length)
    return replace(track, length=length, units=units)


def _gaze(folder: Path, start: int, last: int) -> tuple[GazePoint, ...]:
    times = _times(folder / "gaze ps1.time") - start
    points = np.fromfile(folder / "gaze ps1.raw", "<f4").reshape(-1, 2)
    worn = np.fromfile(folder / "worn ps1.raw", "u1")[: len(times)] == 255
    eyes = np.zeros((len(times), 0), "f4")
    if (folder / "eye_state ps1.raw").exists():
        values = np.fromfile(folder / "eye_state ps1.raw", "<f4")
        eyes = values.reshape(len(times), -1)
    return tuple(
        GazePoint(int(at), float(x), float(y), bool(on), tuple(map(float, state)))
        for at, (x, y), on, state in zip(times, points, worn, eyes, strict=True)
        if 0 <= at <= last
    )


def parameter_sets(extradata: bytes) -> tuple[int, tuple[bytes, bytes]]:
    """(bytes of a NAL unit's length, (SPS, PPS)) of an `avcC` box (ISO 14496-15)."""
    length_size = (extradata[4] & 3) + 1
    sps_end = 8 + int.from_bytes(extradata[6:8], "big")
    pps_start = sps_end + 3
    pps_end = pps_start + int.from_bytes(extradata[sps_end + 1 : pps_start], "big")
    return length_size, (extradata[8:sps_end], extradata[pps_start:pps_end])


def split_units(data: bytes, length_size: int) -> tuple[bytes, ...]:
    """The NAL units of a packet in which each follows its length."""
    units, start = [], 0
    while start < len(data):
        begin = start + length_size
        start = begin + int.from_bytes(data[start:begin], "big")
        units.append(data[begin:start])
    return tuple(units)


def _times(path: Path) -> np.ndarray:
    return np.fromfile(path, "<i8")


def _present(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(2, "missing", str(path))
    return path
