"""Frames compressed without loss: every pixel comes back as it was."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from devices.bounds import is_size
from devices.containers.opening import open_container
from devices.device import DeviceError

CODEC = "libx264rgb"  # H.264 on RGB itself: no colour is rounded
SETTINGS = {"qp": "0", "preset": "ultrafast", "tune": "zerolatency"}
MUXING = {"cluster_time_limit": "200", "flush_packets": "1"}  # what a cut costs: 200 ms
MILLISECONDS = Fraction(1, 1000)
KEY_EVERY = 60
NANOSECONDS_PER_MILLISECOND = 1_000_000


class FrameWriter:
    """Appends frames of one size to a file."""

    def __init__(self, path: Path, width: int, height: int) -> None:
        self.size = width, height
        self._container = av.open(str(path), "w", format="matroska", options=MUXING)
        self._stream = self._container.add_stream(CODEC, options=SETTINGS)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "rgb24"
        self._stream.codec_context.time_base = MILLISECONDS
        self._stream.codec_context.gop_size = KEY_EVERY
        self._first_at: int | None = None
        self._stamp = -1

    def write(self, pixels: NDArray[np.uint8], captured_at: int) -> int:
        """Append RGB uint8 (height, width, 3), captured then (Unix ns); returns bytes written."""
        self._first_at = captured_at if self._first_at is None else self._first_at
        since = (captured_at - self._first_at) // NANOSECONDS_PER_MILLISECOND
        self._stamp = max(self._stamp + 1, since)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts, frame.time_base = self._stamp, MILLISECONDS
        return self._mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds, and the file's index."""
        self._mux(self._stream.encode(None))
        self._container.close()

    def _mux(self, packets: list[av.Packet]) -> int:
        size = sum(packet.size for packet in packets)
        self._container.mux(packets)
        return size


class SavedFrames:
    """Reads the frames of a session one after the other."""

    def __init__(self, path: Path) -> None:
        """Raises DeviceError for a file that is missing or no video."""
        try:
            self._container = open_container(path)
            stream = self._container.streams.video[0]
        except (OSError, IndexError, av.FFmpegError) as error:
            raise DeviceError(f"{path}: the frames of the session can't be read") from error
        stream.thread_type = "SLICE"  # a frame comes out as soon as its packet is in
        self._frames = self._container.decode(stream)

    def next(self) -> NDArray[np.uint8] | None:
        """RGB uint8 (height, width, 3), not to be written to; None where there is no more."""
        try:
            frame = next(self._frames, None)
            if frame is None or not is_size(frame.width, frame.height):
                return None
            pixels = frame.to_ndarray(format="rgb24")
        except (av.FFmpegError, OSError, ValueError):
            return None
        pixels.flags.writeable = False
        return pixels

    def close(self) -> None:
        """Close the file."""
        self._container.close()
