"""A recording's scene video: every frame addressed by its index, read forward or picked out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from devices.containers.opening import open_container
from devices.device import DeviceError
from devices.recording.picture import upright
from devices.recording.tally import Tally
from devices.recording.video_file import (
    VideoFile,
    decoded,
    read_video_file,
    video_stream,
)

WORTH_SEEKING = 24  # frames to decode in vain before a seek is cheaper
FRAMES = "frames"


@dataclass(frozen=True, slots=True, eq=False)
class VideoTrack:
    """A scene video in one or several files of one frame size; indices run through all of them.

    `chosen`: numbers of the frames that count, ascending, int64, of all that the files hold; None
    for all. An index is a place among them.
    """

    files: tuple[VideoFile, ...]
    chosen: NDArray[np.int64] | None = None

    @property
    def count(self) -> int:
        """Frames that count."""
        if self.chosen is not None:
            return self.chosen.size
        return sum(file.count for file in self.files)

    @property
    def width(self) -> int:
        """Pixels across a frame."""
        return self.files[0].width

    @property
    def height(self) -> int:
        """Pixels down a frame."""
        return self.files[0].height

    def only(self, numbers: NDArray[np.int64]) -> VideoTrack:
        """The same video with these of its frames, ascending."""
        if self.chosen is not None:
            numbers = self.chosen[numbers]
        is_all = numbers.size == sum(file.count for file in self.files)
        return VideoTrack(self.files, None if is_all else numbers.astype(np.int64))

    def locate(self, index: int) -> tuple[VideoFile, int]:
        """The file that holds a frame, and the frame's number in it. Raises IndexError."""
        if self.chosen is not None and 0 <= index < self.chosen.size:
            number = int(self.chosen[index])
        else:
            number = index if self.chosen is None else -1
        for file in self.files:
            if 0 <= number < file.count:
                return file, number
            number -= file.count
        raise IndexError(f"frame {index} of a video of {self.count}")


def track(paths: Sequence[Path], tally: Tally | None = None) -> VideoTrack:
    """The video in these files. Raises DeviceError for a file that is damaged or of other size.

    With a `tally`, what was cut off at a file's end is counted there; else it is refused.
    """
    files = tuple(read_video_file(path) for path in paths)
    for file in files[1:]:
        if (file.width, file.height) != (files[0].width, files[0].height):
            raise DeviceError(f"{file.path}: its frames are not of the size of {files[0].path}")
    for file in files:
        _count_cut(file, tally)
    return VideoTrack(files)


def _count_cut(file: VideoFile, tally: Tally | None) -> None:
    if tally is None and file.missing:
        raise DeviceError(
            f"{file.path}: the video is truncated, {file.missing} bytes are missing at its end: "
            "copy it again"
        )
    if tally is not None:
        tally.expect(FRAMES, file.count + file.cut_off)
        tally.leave_out(FRAMES, f"cut off at the end of {file.path.name}", file.cut_off)
        if file.missing and not file.cut_off:
            tally.remark(f"{file.missing} bytes are missing at the end of {file.path.name}")


class VideoCursor:
    """A place in a video that moves forward only. Holds one open file; not for several threads."""

    def __init__(self, video: VideoTrack) -> None:
        self._video = video
        self._cursor: _FileCursor | None = None
        self._index = 0

    def read(self, index: int) -> NDArray[np.uint8] | None:
        """RGB uint8 (height, width, 3) of a frame; None where the decoder leaves that frame out.

        `index` may not be smaller than at the last call. Raises DeviceError where decoding breaks:
        no later frame of that file can be had.
        """
        if index < self._index:
            raise ValueError(
                f"frame {index} lies behind frame {self._index}: a cursor goes forward"
            )
        self._index = index
        file, number = self._video.locate(index)
        if self._cursor is None or self._cursor.file is not file:
            self.close()
            self._cursor = _FileCursor(file)
        try:
            frame = self._cursor.read(number)
        except (av.FFmpegError, EOFError) as error:
            raise DeviceError(f"{file.path}: the video stops decoding at frame {number}") from error
        return None if frame is None else upright(frame, self._video.width, self._video.height)

    def close(self) -> None:
        """Close the file; reading on opens it again."""
        if self._cursor is not None:
            self._cursor.close()
        self._cursor = None


class FrameReader:
    """Picks frames out of a video by their indices, for evaluation.

    Memory is that of the frames asked for, and of those that a decoder holds.
    """

    def __init__(self, video: VideoTrack) -> None:
        self._video = video

    def frames(self, indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        """RGB uint8 (height, width, 3) of each index, in the order asked for, read in one pass.

        Raises DeviceError for an index outside the video or a frame that does not decode.
        """
        found: dict[int, NDArray[np.uint8]] = {}
        cursor = VideoCursor(self._video)
        path, count = self._video.files[0].path, self._video.count
        try:
            for index in sorted(set(indices)):
                if not 0 <= index < count:
                    raise DeviceError(f"{path}: there is no frame {index}: the video has {count}")
                if (pixels := cursor.read(index)) is None:
                    raise DeviceError(f"{path}: frame {index} can't be decoded")
                found[index] = pixels
        finally:
            cursor.close()
        return [found[index] for index in indices]


class _FileCursor:
    """A place in one file: it decodes forward, and leaps to a key frame where that is exact."""

    def __init__(self, file: VideoFile) -> None:
        self.file = file
        is_one_run = np.array_equal(file.stamps, file.marks)
        self._can_leap = is_one_run and not file.is_counted
        self._open()

    def _open(self) -> None:
        self._container = open_container(self.file.path)
        self._stream = video_stream(self._container, self.file.path)
        self._frames = decoded(self._container, self._stream)
        self._at = -1
        self._newest: av.VideoFrame | None = None

    def read(self, number: int) -> av.VideoFrame | None:
        """The frame of a number, None if it never comes. EOFError past the last that does."""
        key = self.file.key_before(number)
        if self._can_leap and key - self._at > WORTH_SEEKING:
            self._leap(key)
        while self._at < number:
            self._accept(next(self._frames, None))
        return self._newest if self._at == number else None

    def _accept(self, frame: av.VideoFrame | None) -> None:
        """Number a frame by its stamp, which shows up a frame that the decoder left out."""
        if frame is None:
            raise EOFError
        place = self._at + 1
        if frame.pts is not None and not self.file.is_counted:
            place = self.file.number_from(place, frame.pts)
        self._at, self._newest = place, frame

    def _leap(self, key: int) -> None:
        """Decode on from a key frame, or from the start if seeking does not lead exactly there.

        Some formats land elsewhere, and some "key" frames need frames before them.
        """
        stamp = int(self.file.stamps[key])
        try:
            self._container.seek(stamp, stream=self._stream)
            self._frames = decoded(self._container, self._stream)
            frame = next(self._frames, None)
        except av.FFmpegError:
            frame = None
        if frame is not None and frame.pts == stamp:
            self._at, self._newest = key, frame
            return
        self._can_leap = False
        self.close()
        self._open()

    def close(self) -> None:
        self._container.close()
