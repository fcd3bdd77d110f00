"""The microphone of a page: pieces of sound, as it sends them, set on the clock of the run."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from devices.bounds import LEAST_SOUND_RATE, MOST_SOUND_RATE
from devices.clock import NANOSECONDS

HEAD = struct.Struct("<d")
FULL_SCALE = 32_768
Hear = Callable[[NDArray[np.float32], int, int], None]


class BadSound(Exception):
    """What a page sent is no sound, or nobody wants it."""


class PageMicrophone:
    """What one page hears while its button is held.

    A piece is the number of its first sample (8 bytes, a little-endian double, counted by the
    page), then 16-bit samples. The first is taken to end when it arrives, so that all of a hold lie
    late by as long as that one travelled; by its number each of the others lies where it was
    captured, however late it comes and whatever was lost before it.
    """

    def __init__(self, rate: int, now: Callable[[], int], hear: Hear) -> None:
        """`rate` in Hz; `now`: Unix ns; `hear`: as `MicrophoneDevice.hear`. Raises BadSound."""
        if not LEAST_SOUND_RATE <= rate <= MOST_SOUND_RATE:
            raise BadSound(f"a microphone of {rate} Hz is not heard")
        self._rate, self._now, self._hear = rate, now, hear
        self._first: tuple[float, int] | None = None

    def take(self, message: bytes) -> None:
        """Take a piece. Raises BadSound."""
        if len(message) <= HEAD.size or len(message) % 2:
            raise BadSound("a piece of sound is 8 bytes and 16-bit samples")
        (number,) = HEAD.unpack_from(message)
        samples = np.frombuffer(message, "<i2", offset=HEAD.size).astype(np.float32) / FULL_SCALE
        if not 0 <= number < 2**53:
            raise BadSound("a piece of sound begins with the number of its first sample")
        latest = self._now() - samples.size * NANOSECONDS // self._rate
        first, at = self._first = self._first or (number, latest)
        begins_at = at + round((number - first) * NANOSECONDS / self._rate)
        self._hear(samples, self._rate, min(begins_at, latest))
