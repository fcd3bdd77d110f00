"""One video file: what its packets say of its frames, and its frames decoded in order."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from devices.device import DeviceError

LENGTHS_MATTER = (b"mdat", b"moov", b"moof")  # MP4 boxes; what follows the last of them may not


@dataclass(frozen=True, slots=True, eq=False)
class VideoFile:
    """A video file. Its frames are numbered from 0 in order of presentation.

    `stamps`: their presentation times in units of `time_base` seconds, ascending, int64.
    `keys`: numbers of the frames at which decoding can begin, ascending, int64.
    """

    path: Path
    stamps: NDArray[np.int64]
    keys: NDArray[np.int64]
    time_base: Fraction
    width: int
    height: int

    @property
    def count(self) -> int:
        """Frames in the file."""
        return self.stamps.size

    def key_before(self, number: int) -> int:
        """The last frame up to `number` at which decoding can begin."""
        place = int(np.searchsorted(self.keys, number, side="right"))
        return int(self.keys[place - 1]) if place else 0


def read_video_file(path: Path) -> VideoFile:
    """Read what a file's packets say, and decode its first frame only.

    Raises DeviceError for a file that is missing, empty, cut off, no video, or does not decode.
    """
    _check_length(path)
    try:
        with open_video(path) as container:
            stream = video_stream(container, path)
            stamps, keys = _packet_stamps(container, stream)
            codec, time_base = stream.codec_context, stream.time_base
            width, height = codec.width, codec.height
        if not stamps:
            raise DeviceError(f"{path}: its video holds no frame with a time stamp")
        times = np.sort(np.array(stamps, np.int64))
        numbers = np.searchsorted(times, np.sort(np.array(keys, np.int64)))
        with open_video(path) as container:
            if next(decoded(container, video_stream(container, path)), None) is None:
                raise DeviceError(f"{path}: none of its {times.size} frames can be decoded")
    except av.FFmpegError as error:
        reason = error.strerror or "unknown format"
        raise DeviceError(
            f"{path}: not a video that can be decoded ({reason}): it may be of another kind, or an "
            "MP4 that was cut off before its index was written"
        ) from error
    return VideoFile(path, times, numbers, Fraction(time_base), width, height)


def open_video(path: Path) -> InputContainer:
    """Open a file; odd characters in its metadata are no reason to refuse it."""
    return av.open(str(path), metadata_errors="replace")


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first video stream of a file. Raises DeviceError if there is none.

    It decodes a frame on one thread: with several, a broken frame is reported too early or too
    late, among frames that come out in another order.
    """
    if not container.streams.video:
        raise DeviceError(f"{path}: it holds no video stream")
    stream = container.streams.video[0]
    stream.thread_type = "SLICE"
    return stream


def decoded(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Frames from where the container stands. Raises av.FFmpegError where decoding breaks.

    Everything decoded before the break still comes: a decoder holds frames back to reorder them.
    """
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            yield from stream.codec_context.decode(None)
            raise
        yield from frames


def _packet_stamps(container: InputContainer, stream: VideoStream) -> tuple[list[int], list[int]]:
    """Presentation stamps of all frames, and of those where decoding can begin.

    What an edit list discards (the run-up of a clip that was cut without re-encoding) is decoded
    but never shown, so it has no number.
    """
    stamps: list[int] = []
    keys: list[int] = []
    for packet in container.demux(stream):
        if packet.size == 0 or packet.pts is None or packet.is_discard:
            continue
        stamps.append(packet.pts)
        if packet.is_keyframe:
            keys.append(packet.pts)
    return stamps, keys


def _check_length(path: Path) -> None:
    if not path.is_file():
        raise DeviceError(f"{path}: there is no such video file")
    if path.stat().st_size == 0:
        raise DeviceError(f"{path}: the video file is empty")
    if missing := _missing_bytes(path):
        raise DeviceError(
            f"{path}: the video is truncated, {missing} bytes are missing at its end: copy it again"
        )


def _missing_bytes(path: Path) -> int:
    """How many bytes an MP4 lacks, by the lengths that its outermost boxes give; 0 for others.

    A reader would just stop at the end of the file, as if the video were shorter.
    """
    size, position = path.stat().st_size, 0
    with path.open("rb") as file:
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length, kind = struct.unpack(">I4s", header[:8])
            if position == 0 and kind != b"ftyp":
                return 0
            if length == 1:
                length = int.from_bytes(header[8:])
            if length < 8:  # 0: the box reaches to the end of the file
                return 0
            position += length
            if position > size and kind in LENGTHS_MATTER:
                return position - size
    return 0
