"""Sound in and out of files, as OpenAI's clients send and want it."""

from __future__ import annotations

import io
from itertools import chain

import av
import numpy as np
from numpy.typing import NDArray

from devices.containers.opening import open_container

RATE = 16_000
"""Hz, to which what is sent is brought."""
LONGEST = 600
"""Seconds of sound that are taken."""
FORMATS = {
    "mp3": ("mp3", "libmp3lame", "audio/mpeg", None),
    "opus": ("ogg", "libopus", "audio/ogg", 48_000),
    "aac": ("adts", "aac", "audio/aac", None),
    "flac": ("flac", "flac", "audio/flac", None),
    "wav": ("wav", "pcm_s16le", "audio/wav", None),
    "pcm": ("s16le", "pcm_s16le", "audio/pcm", 24_000),
}
"""Container, codec, type; the rate in Hz, None for that of the sound."""


class BadSoundFile(Exception):
    """It can't be read as sound, or is too long."""


def decoded(content: bytes) -> NDArray[np.float32]:
    """The sound of a file of any kind that FFmpeg knows, float32 mono (n,) of RATE Hz.

    Raises BadSoundFile.
    """
    parts, count = [], 0
    try:
        with open_container(io.BytesIO(content)) as file:
            if not file.streams.audio:
                raise BadSoundFile("the file has no sound")
            resampler = av.AudioResampler("flt", "mono", RATE)
            for frame in chain(file.decode(audio=0), (None,)):
                for piece in resampler.resample(frame):
                    parts.append(piece.to_ndarray()[0])
                    count += parts[-1].size
                if count > LONGEST * RATE:
                    raise BadSoundFile(f"the sound is longer than {LONGEST} seconds")
    except (av.FFmpegError, ValueError) as error:
        raise BadSoundFile("the file can't be read as sound") from error
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def encoded(wav: bytes, form: str) -> bytes:
    """What a program wrote as WAV, as one of FORMATS. Raises BadSoundFile."""
    container, codec, _, rate = FORMATS[form]
    written = io.BytesIO()
    try:
        with open_container(io.BytesIO(wav)) as heard, av.open(written, "w", container) as file:
            source = heard.streams.audio[0]
            stream = file.add_stream(codec, rate or source.rate, layout="mono")
            for frame in heard.decode(source):
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise BadSoundFile("what the program spoke is no WAV") from error
    return written.getvalue()
