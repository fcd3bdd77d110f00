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

from devices.containers.opening import open_container
from devices.device import DeviceError
from devices.recording.picture import shown_size

LENGTHS_MATTER = (b"mdat", b"moov", b"moof")  # MP4 boxes; what follows the last of them may not
REORDERING = ("h264", "hevc")


@dataclass(frozen=True, slots=True, eq=False)
class VideoFile:
    """A video file. Its frames are numbered from 0 in order of presentation.

    `stamps`: their presentation times in units of `time_base` seconds, ascending, int64; where the
    file's own begin anew (streams joined end to end) they go on. `marks`: the same as the file has
    them, int64. `keys`: numbers of the frames at which decoding can begin, ascending, int64.
    `width`, `height`: of the upright picture. `is_counted`: its stamps don't tell its frames apart,
    so that all must be decoded from the first. `cut_off`: frames that its index lists but that lie
    beyond its end; `missing`: bytes that it lacks there.
    """

    path: Path
    stamps: NDArray[np.int64]
    marks: NDArray[np.int64]
    keys: NDArray[np.int64]
    time_base: Fraction
    width: int
    height: int
    is_counted: bool = False
    cut_off: int = 0
    missing: int = 0

    @property
    def count(self) -> int:
        """Frames in the file."""
        return self.stamps.size

    @property
    def shown(self) -> NDArray[np.int64]:
        """When each frame is shown, ns from the first, int64, to the nearest."""
        ticks = (self.stamps - self.stamps[0]) * self.time_base.numerator
        seconds, rest = np.divmod(ticks, self.time_base.denominator)
        half = self.time_base.denominator // 2
        return seconds * 10**9 + (rest * 10**9 + half) // self.time_base.denominator

    def key_before(self, number: int) -> int:
        """The last frame up to `number` at which decoding can begin."""
        place = int(np.searchsorted(self.keys, number, side="right"))
        return int(self.keys[place - 1]) if place else 0

    def number_from(self, number: int, mark: int) -> int:
        """The first frame from `number` on whose own stamp is `mark`; `number` if there is none.

        Stamps that begin anew come more than once.
        """
        marks = self.marks[number:]
        if marks.size == 0 or marks[0] == mark:
            return number
        return number + int(np.argmax(marks == mark))


@dataclass(frozen=True, slots=True, eq=False)
class _Packets:
    """What the packets of a file say, in decoding order: presentation stamps, which of them are
    keys, to which run of stamps each belongs; `read`: how many were whole, `listed`: by its index.
    """

    stamps: NDArray[np.int64]
    is_key: NDArray[np.bool_]
    run: NDArray[np.int64]
    read: int
    listed: int


def read_video_file(path: Path) -> VideoFile:
    """Read what a file's packets say, and decode its first frame only.

    Raises DeviceError for a file that is missing, empty, no video, or does not decode. Of one that
    was cut off, what is there is read.
    """
    missing = _missing_bytes(path)
    try:
        with open_container(path) as container:
            stream = video_stream(container, path)
            packets = _read_packets(container, stream)
            time_base = Fraction(stream.time_base)
        if packets.stamps.size == 0:
            if missing:
                raise DeviceError(_nothing_left(path, missing))
            raise DeviceError(f"{path}: its video holds no frame with a time stamp")
        with open_container(path) as container:
            stream = video_stream(container, path)
            first = next(decoded(container, stream), None)
            if first is None:
                count = packets.stamps.size
                raise DeviceError(f"{path}: none of its {count} frames can be decoded")
            width, height = shown_size(first, stream)
            reorders = stream.codec_context.has_b_frames and stream.codec.name in REORDERING
            is_counted = container.format.name == "avi" and bool(reorders)
    except av.FFmpegError as error:
        if missing:
            raise DeviceError(_nothing_left(path, missing)) from error
        reason = error.strerror or "unknown format"
        raise DeviceError(
            f"{path}: not a video that can be decoded ({reason}): it may be of another kind, or an "
            "MP4 that was cut off before its index was written"
        ) from error
    stamps, marks, keys = _numbered(packets)
    cut_off = max(0, packets.listed - packets.read) if missing else 0
    return VideoFile(
        path, stamps, marks, keys, time_base, width, height, is_counted, cut_off, missing
    )


def _nothing_left(path: Path, missing: int) -> str:
    return (
        f"{path}: the video is truncated, {missing} bytes are missing at its end, and nothing of "
        "it can be decoded: copy it again"
    )


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
    What was cut off in the middle of a frame is not decoded.
    """
    for packet in container.demux(stream):
        if _is_cut(container, packet):
            continue
        try:
            frames = packet.decode()
        except av.FFmpegError:
            yield from stream.codec_context.decode(None)
            raise
        yield from frames


def _read_packets(container: InputContainer, stream: VideoStream) -> _Packets:
    """What an edit list discards (the run-up of a clip that was cut without re-encoding) is decoded
    but never shown, so it has no number.
    """
    stamps: list[int] = []
    is_key: list[bool] = []
    run: list[int] = []
    read, runs, newest = 0, 0, None
    for packet in container.demux(stream):
        if packet.size == 0 or _is_cut(container, packet):
            continue
        read += 1
        if packet.dts is not None:
            runs += newest is not None and packet.dts < newest
            newest = packet.dts
        if packet.pts is None or packet.is_discard:
            continue
        stamps.append(packet.pts)
        is_key.append(packet.is_keyframe)
        run.append(runs)
    listed = max(stream.frames, read)
    arrays = np.array(stamps, np.int64), np.array(is_key, bool), np.array(run, np.int64)
    return _Packets(*arrays, read, listed)


def _is_cut(container: InputContainer, packet: av.Packet) -> bool:
    """Whether a packet ends where its file does, too early. Other formats call more than that
    corrupt, such as the first packet after a join."""
    return packet.is_corrupt and "mp4" in container.format.name


def _numbered(packets: _Packets) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """`stamps`, `marks` and `keys` of a VideoFile.

    Each run of stamps follows on the one before it, one frame later.
    """
    order = np.lexsort((packets.stamps, packets.run))
    marks, run = packets.stamps[order], packets.run[order]
    stamps = marks.copy()
    for place in np.flatnonzero(np.diff(run)) + 1:
        before = stamps[:place]
        gap = int(np.median(np.diff(before))) if before.size > 1 else 1
        stamps[place:] += before[-1] + max(gap, 1) - stamps[place]
    return stamps, marks, np.flatnonzero(packets.is_key[order])


def _missing_bytes(path: Path) -> int:
    """How many bytes an MP4 lacks, by the lengths that its outermost boxes give; 0 for others.

    A reader would just stop at the end of the file, as if the video were shorter. Raises
    DeviceError for a file that is missing or empty.
    """
    if not path.is_file():
        raise DeviceError(f"{path}: there is no such video file")
    size, position = path.stat().st_size, 0
    if size == 0:
        raise DeviceError(f"{path}: the video file is empty")
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
