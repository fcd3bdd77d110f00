"""The sound track of a recording's video files, on the clock of their frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from devices.bounds import fault
from devices.clock import NANOSECONDS
from devices.containers.opening import open_container
from devices.recording.video import VideoTrack
from devices.recording.video_file import VideoFile
from devices.samples import Sound


@dataclass(frozen=True, slots=True, eq=False)
class SoundFile:
    """A file with a sound track, and when (Unix ns) what it stamps with 0 was captured."""

    file: VideoFile
    zero_at: int


def sound_files(video: VideoTrack, frame_times: NDArray[np.int64]) -> tuple[SoundFile, ...]:
    """The files that have sound, each dated by the first of its frames that has a time."""
    found, begin, place = [], 0, 0
    numbers = np.arange(video.count) if video.chosen is None else video.chosen
    for file in video.files:
        place = int(np.searchsorted(numbers, begin))
        if place < numbers.size and numbers[place] < begin + file.count and _has_sound(file):
            shown = int(file.stamps[numbers[place] - begin]) * file.time_base * NANOSECONDS
            found.append(SoundFile(file, int(frame_times[place]) - round(shown)))
        begin += file.count
    return tuple(found)


def _has_sound(file: VideoFile) -> bool:
    try:
        with open_container(file.path) as container:
            return bool(container.streams.audio)
    except (OSError, av.FFmpegError):
        return False


class SoundCursor:
    """Reads the sound forward, no further than it is asked for. `trouble` says where it broke off.

    `received` and `dropped` count its pieces; a piece that is no sound is dropped.
    """

    def __init__(self, files: Sequence[SoundFile]) -> None:
        self._pieces = self._all(files)
        self._next: Sound | None = None
        self.received = 0
        self.dropped: dict[str, int] = {}
        self.trouble: str | None = None

    def until(self, moment: int) -> list[Sound]:
        """The pieces that were captured up to `moment` (Unix ns) and were not read yet."""
        pieces = []
        while (piece := self._next or next(self._pieces, None)) is not None:
            self._next = piece
            if piece.captured_at > moment:
                break
            self._next = None
            self.received += 1
            if (cause := fault(piece)) is None:
                pieces.append(piece)
            else:
                self.dropped[cause] = self.dropped.get(cause, 0) + 1
        return pieces

    def close(self) -> None:
        """Close the file that is open."""
        self._pieces.close()
        self._next = None

    def _all(self, files: Sequence[SoundFile]) -> Iterator[Sound]:
        for file in files:
            try:
                with open_container(file.file.path) as container:
                    yield from _decoded(container, file.zero_at)
            except (OSError, ValueError, av.FFmpegError):
                self.trouble = f"{file.file.path}: its sound stops decoding: no more of it is heard"


def _decoded(container: av.container.InputContainer, zero_at: int) -> Iterator[Sound]:
    """Every piece of the first sound track, as mono at its own rate."""
    resampler = av.AudioResampler("fltp", "mono")
    for frame in container.decode(audio=0):
        if frame.pts is None or not frame.sample_rate:
            continue
        begins = Fraction(frame.pts) * (frame.time_base or Fraction(1, frame.sample_rate))
        for piece in resampler.resample(frame):
            samples = np.ascontiguousarray(piece.to_ndarray()[0], np.float32)
            samples.flags.writeable = False
            at = zero_at + round(begins * NANOSECONDS)
            sound = Sound(at, 0, piece.sample_rate, samples)
            yield Sound(at, sound.captured_at, piece.sample_rate, samples)
