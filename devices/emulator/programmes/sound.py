"""What the emulated phone's microphone hears: any file's sound as mono AAC, as Neon sends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.containers.opening import open_container
from devices.device import DeviceError
from devices.emulator.programmes.programme import SoundTrack, SoundUnit
from devices.neon.sound.units import UNIT_SAMPLES
from devices.printable import printable

RATE = 8_000
BIT_RATE = 24_000


def load_sound(path: Path, rate: int = RATE) -> SoundTrack:
    """A file's first sound track, as a microphone of `rate` Hz hears it. Raises DeviceError."""
    try:
        with open_container(path) as container:
            if not container.streams.audio:
                raise DeviceError(f"{path}: there is no sound in it: give a WAV file")
            pieces = [np.zeros(0, np.float32), *_resampled(container, rate)]
    except (OSError, ValueError, av.FFmpegError) as error:
        reason = printable(str(getattr(error, "strerror", None) or error), 100)
        raise DeviceError(f"{path}: its sound can't be read ({reason}): give a WAV file") from None
    samples = np.concatenate(pieces)
    if samples.size == 0:
        raise DeviceError(f"{path}: its sound is empty")
    return encode_sound(samples, rate)


def _resampled(container: av.container.InputContainer, rate: int) -> Iterator[NDArray[np.float32]]:
    resampler = av.AudioResampler("fltp", "mono", rate)
    for frame in container.decode(audio=0):
        for piece in resampler.resample(frame):
            yield piece.to_ndarray()[0]
    for piece in resampler.resample(None):
        yield piece.to_ndarray()[0]


def encode_sound(samples: NDArray[np.float32], rate: int = RATE) -> SoundTrack:
    """AAC of `samples` (float32 mono, (n,)), silence added up to a whole number of units.

    A unit's time is that of the samples which it decodes to: the encoder's own delay, which it
    tells in its time stamps, is taken off.
    """
    whole = -(-samples.size // UNIT_SAMPLES) * UNIT_SAMPLES
    padded = np.zeros((1, whole), np.float32)
    padded[0, : samples.size] = samples
    context = av.CodecContext.create("aac", "w")
    context.sample_rate, context.layout, context.format = rate, "mono", "fltp"
    context.bit_rate = BIT_RATE
    context.open()
    units = []
    for start in (*range(0, whole, UNIT_SAMPLES), None):
        frame = None
        if start is not None:
            piece = np.ascontiguousarray(padded[:, start : start + UNIT_SAMPLES])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, start
        for packet in context.encode(frame):
            at = packet.pts * NANOSECONDS // rate
            if 0 <= packet.pts < whole:
                units.append(SoundUnit(at, bytes(packet)))
    return SoundTrack(rate, bytes(context.extradata), whole * NANOSECONDS // rate, tuple(units))
