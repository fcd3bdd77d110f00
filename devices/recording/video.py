"""Video files: every frame addressed by its number, decoded in order or picked out."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from devices.device import DeviceError

WORTH_SEEKING = 48  # frames to decode in vain before a seek is cheaper


@dataclass(frozen=True, slots=True, eq=False)
class VideoFile:
    """One video file; `stamps` are its frames' presentation stamps in order, one per frame."""

    path: Path
    stamps: NDArray[np.int64]
    time_base: Fraction
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class VideoTrack:
    """A recording's scene video, in one or several files, of one frame size."""

    files: tuple[VideoFile, ...]

    @property
    def count(self) -> int:
        """Frames in all files."""
        return sum(file.stamps.size for file in self.files)

    @property
    def width(self) -> int:
        """Pixels across a frame."""
        return self.files[0].width

    @property
    def height(self) -> int:
        """Pixels down a frame."""
        return self.files[0].height

    def decoded(self) -> Generator[av.VideoFrame]:
        """All frames in order; close it, or its decoder's threads outlive it."""
        for file in self.files:
            yield from _decode(file)


def probe(path: Path) -> VideoFile:
    """Read a file's packets without decoding more than its first frame.

    Raises DeviceError for a file that is empty, truncated or no video.
    """
    if not path.is_file():
        raise DeviceError(f"{path}: there is no such video file")
    if path.stat().st_size == 0:
        raise DeviceError(f"{path}: the video file is empty")
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(container, path)
            promised = stream.frames
            stamps = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
            time_base, width, height = stream.time_base, stream.width, stream.height
        file = VideoFile(path, np.sort(np.array(stamps, np.int64)), time_base, width, height)
        with closing(_decode(file)) as frames:
            next(frames)
    except (av.FFmpegError, StopIteration) as error:
        raise DeviceError(f"{path}: not a video that can be decoded, or truncated") from error
    if promised and len(stamps) < promised:
        raise DeviceError(
            f"{path}: truncated: it promises {promised} frames and holds {len(stamps)}"
        )
    return file


def track(paths: Sequence[Path]) -> VideoTrack:
    """The video of a recording. Raises DeviceError for none, or parts of different sizes."""
    files = tuple(probe(path) for path in paths)
    if len({(file.width, file.height) for file in files}) != 1:
        raise DeviceError(f"{paths[0]}: the parts of this video differ in frame size")
    return VideoTrack(files)


class FrameReader:
    """Picks frames out of a video by their numbers, for evaluation.

    Memory is that of the frames asked for.
    """

    def __init__(self, video: VideoTrack) -> None:
        self._video = video

    def frames(self, indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        """RGB uint8 (height, width, 3) of each index, in the order asked for.

        Raises DeviceError for an index outside the video or a frame that does not decode.
        """
        found: dict[int, NDArray[np.uint8]] = {}
        first = 0
        for file in self._video.files:
            count = file.stamps.size
            wanted = sorted({i - first for i in indices if first <= i < first + count})
            found |= {first + i: pixels for i, pixels in _pick(file, wanted)}
            first += count
        if missing := [index for index in indices if index not in found]:
            raise DeviceError(
                f"{self._video.files[0].path}: frame {missing[0]} can't be read: the video has "
                f"{first} frames"
            )
        return [found[index] for index in indices]


def _pick(file: VideoFile, wanted: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Frames of one file by number, ascending, in one pass forward."""
    if not wanted:
        return
    numbers = {int(stamp): number for number, stamp in enumerate(file.stamps)}
    with av.open(str(file.path)) as container:
        stream = _video_stream(container, file.path)
        frames, at = container.decode(stream), 0
        for number in wanted:
            if number - at > WORTH_SEEKING:
                container.seek(int(file.stamps[number]), stream=stream, backward=True)
                frames = container.decode(stream)
            for frame in frames:
                at = numbers.get(frame.pts, at)
                if at == number:
                    yield number, frame.to_ndarray(format="rgb24")
                    break


def _decode(file: VideoFile) -> Generator[av.VideoFrame]:
    with av.open(str(file.path)) as container:
        stream = _video_stream(container, file.path)
        stream.thread_type = "AUTO"
        yield from container.decode(stream)


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    if not container.streams.video:
        raise DeviceError(f"{path}: it holds no video stream")
    return container.streams.video[0]
