"""The microphone's stream: every access unit on the clock of the picture, or dropped by a cause."""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.neon import wire
from devices.neon.rtsp.description import Description
from devices.neon.sequence import Arrival
from devices.neon.sound.units import UNIT_SAMPLES, SoundFormat, split_units
from devices.neon.stream import BEFORE_REPORT, Stream
from devices.neon.video.decoding import CORRUPT, UNDATED
from devices.samples import Sound

FAILED = "failed"
SOUND_PATIENCE = NANOSECONDS // 20
HELD_SOUND = 50
MICROPHONE_OFF = (
    "the phone sends no sound: allow audio in the settings of the Companion app (Sensors, "
    "Microphone), then start anew; going on without voice"
)


class CorruptSound(Exception):
    """An access unit that the decoder refuses."""


class SoundDecoder:
    """One connection's decoder: an access unit in, its samples out."""

    def __init__(self, sound: SoundFormat) -> None:
        self._context = av.CodecContext.create("aac", "r")
        self._context.extradata = sound.config
        self._context.options = {"log_level_offset": "100"}
        self._rate = sound.rate

    def decode(self, unit: bytes) -> NDArray[np.float32]:
        """The samples, float32 mono, (UNIT_SAMPLES,). Raises CorruptSound."""
        try:
            frames = self._context.decode(av.Packet(unit))
            if len(frames) != 1 or frames[0].sample_rate != self._rate:
                raise CorruptSound("not the sound that was described")
            planes = frames[0].to_ndarray()
        except (av.FFmpegError, ValueError, TypeError) as error:
            raise CorruptSound(str(error)) from error
        if planes.ndim != 2 or planes.shape[1] != UNIT_SAMPLES or planes.dtype != np.float32:
            raise CorruptSound("not the sound that was described")
        samples = planes[0] if planes.shape[0] == 1 else planes.mean(axis=0, dtype=np.float32)
        samples = np.ascontiguousarray(samples)
        samples.flags.writeable = False
        return samples


class SoundStream(Stream):
    """The microphone. Packets that are lost leave a hole where they were; nothing moves."""

    camera, noun, medium = "world", "microphone", "audio"
    patience, held = SOUND_PATIENCE, HELD_SOUND
    missing = MICROPHONE_OFF

    def begin(self, description: Description) -> None:
        super().begin(description)
        self._format = description.sound
        self._decoder: SoundDecoder | None = None

    def _ignore(self, packet: wire.RtpPacket) -> None:
        self._mailbox.receive("sound")
        self._mailbox.drop("sound", BEFORE_REPORT)

    def _take(self, arrival: Arrival) -> None:
        if arrival.gap:
            self._decoder = None  # it would mix what was before the hole into what comes after
        try:
            units = split_units(arrival.packet.payload)
        except wire.MalformedPacket:
            self._mailbox.receive("sound")
            self._mailbox.drop("sound", CORRUPT)
            raise
        for number, unit in enumerate(units):
            stamp = (arrival.packet.timestamp + number * UNIT_SAMPLES) % 2**32
            self._hear(unit, stamp, arrival.arrived_at)

    def _hear(self, unit: bytes, stamp: int, arrived_at: int) -> None:
        """Decode one access unit; its time is its own, whatever became of those before it."""
        self._mailbox.receive("sound")
        cause: str | None = FAILED
        try:
            cause = self._deliver_unit(unit, stamp, arrived_at)
        except CorruptSound:
            self._decoder, cause = None, CORRUPT
        finally:
            if cause is not None:
                self._mailbox.drop("sound", cause)

    def _deliver_unit(self, unit: bytes, stamp: int, arrived_at: int) -> str | None:
        """Hand in the sound of a unit; else why it is dropped."""
        if self._format is None:
            return CORRUPT
        if self._decoder is None:
            self._decoder = SoundDecoder(self._format)
        samples = self._decoder.decode(unit)
        begins_at = self._date(stamp, arrived_at)
        if begins_at is None:
            return UNDATED
        self._mailbox.hand_in(Sound(begins_at, arrived_at, self._format.rate, samples))
        return None
