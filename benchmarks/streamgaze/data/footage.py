"""The frames of a video that questions need, decoded once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from devices.device import DeviceError
from devices.recording.video import VideoCursor, VideoTrack
from runtime.stream.frame_timeline import resized

Resize = Callable[[NDArray[np.uint8], int, int], NDArray[np.uint8]]


class Footage:
    """Frames picked by their indices, resized once to the model's input (height, width).

    One pass through the video; memory is that of the small frames.
    """

    def __init__(
        self,
        video: VideoTrack,
        indices: Iterable[int],
        size: tuple[int, int],
        resize: Resize = resized,
    ) -> None:
        self._path = video.files[0].path
        self._frames: dict[int, NDArray[np.uint8]] = {}
        self._broken: str | None = None
        cursor = VideoCursor(video)
        try:
            for index in sorted(set(indices)):
                pixels = cursor.read(index)
                if pixels is not None:
                    self._frames[index] = resize(pixels, *size)
        except DeviceError as error:  # no later frame of the file can be had
            self._broken = str(error)
        finally:
            cursor.close()

    def missing(self, indices: Iterable[int]) -> str | None:
        """What is wrong with those of `indices` that can't be had; None if nothing is."""
        for index in indices:
            if index not in self._frames:
                return self._broken or f"{self._path}: frame {index} can't be decoded"
        return None

    def frames(self, indices: Sequence[int]) -> list[NDArray[np.uint8]]:
        """RGB uint8 (height, width, 3) of each index. Raises DeviceError for one that is lacking.

        All of them were among those given at the start.
        """
        if (wrong := self.missing(indices)) is not None:
            raise DeviceError(wrong)
        return [self._frames[index] for index in indices]
