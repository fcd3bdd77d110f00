"""Saving what a device delivers, on a thread of its own, in bounded memory and on bounded disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from devices.device import Delivery, DeviceError, DeviceInfo
from devices.samples import KnownQuestion, Sample, SceneFrame
from devices.session.holding import held_frames
from devices.session.lines import (
    ASKED,
    FORMAT,
    FRAMES,
    LINES,
    FrameLine,
    Head,
    frame_line,
    poll_line,
    sample_line,
    write_head,
)
from devices.session.video import FrameWriter

MOST_BATCHES = 400  # deliveries that wait to be written, about two seconds
MOST_PIXELS = 256 << 20  # bytes of frames that wait: 46 of Neon's
DEFAULT_LIMIT = 20 << 30  # bytes


@dataclass(frozen=True, slots=True)
class SavedSession:
    """What became of a session. `trouble`: one line if it was not saved whole.

    `frames`: those that can be played. `is_broken`: whether a file could not be written.
    """

    frames: int
    lost_frames: int
    lost_deliveries: int
    bytes: int
    trouble: str | None
    is_broken: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    samples: tuple[Sample | FrameLine, ...]
    delivery: Delivery
    polled_at: int


class _Room:
    """Bytes that may wait at a time. Safe to share between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._changed = threading.Condition()

    def take(self, size: int, wait: bool) -> bool:
        """Take room, waiting for it if `wait`; whether there was some."""
        with self._changed:
            while self._taken and self._taken + size > self._size:
                if not wait:
                    return False
                self._changed.wait()
            self._taken += size
            return True

    def leave(self, size: int) -> None:
        """Give room back."""
        with self._changed:
            self._taken -= size
            self._changed.notify()


class SessionWriter:
    """Saves deliveries in a folder. All but the writing itself is done in its user's thread.

    Where the disk or the compression can't keep up, frames are left out of the session, never held
    up; `patient` waits for them instead, where time is simulated.
    """

    def __init__(
        self,
        folder: Path,
        info: DeviceInfo,
        started_at: int,
        patient: bool = False,
        limit: int = DEFAULT_LIMIT,
        shrink: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] = lambda pixels: pixels,
    ) -> None:
        """`limit`: bytes after which nothing more is saved. `shrink`: what is saved of a frame.

        Raises DeviceError for a bad folder.
        """
        self._folder = folder
        self._lines = _opened(folder, Head(FORMAT, started_at, info))
        self._video_path = folder / FRAMES
        self._video: FrameWriter | None = None
        self._patient = patient
        self._limit = limit
        self._shrink = shrink
        self._asked: list[KnownQuestion] = []
        self._waiting: queue.Queue[_Batch | None] = queue.Queue(MOST_BATCHES)
        self._room = _Room(MOST_PIXELS)
        self._frames = self._lost_frames = self._lost_deliveries = self._bytes = 0
        self._trouble: str | None = None
        self._is_broken = False
        self._thread = threading.Thread(target=self._write_all, name="session")
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Why nothing more is saved; None while all is."""
        return self._trouble

    def asked(
        self,
        moment: int,
        text: str,
        options: Sequence[str] = (),
        truth: str | None = None,
        task: str = ASKED,
    ) -> None:
        """A person asked a question about `moment` (Unix ns): saved with the next delivery."""
        self._asked.append(KnownQuestion(moment, moment, task, text, tuple(options), truth))

    def delivered(self, delivery: Delivery, polled_at: int) -> None:
        """Save a delivery that was polled then (Unix ns); never blocks unless `patient`."""
        asked, self._asked = tuple(self._asked), []
        samples = (*asked, *self._admitted(delivery.samples))
        batch = _Batch(samples, delivery, polled_at)
        try:
            self._waiting.put(batch, block=self._patient)
        except queue.Full:
            self._lost_deliveries += 1
            self._asked = [*asked, *self._asked]
            for sample in samples:
                self._dismiss(sample)

    def close(self) -> SavedSession:
        """Write what waits and close the files."""
        self._waiting.put(None)
        self._thread.join()
        lost = self._lost_frames, self._lost_deliveries
        if self._trouble is None and any(lost):
            self._trouble = (
                f"{lost[0]} frames and {lost[1]} deliveries came faster than they could be saved: "
                "the session does not play back exactly"
            )
        frames = min(self._frames, held_frames(self._folder)) if self._is_broken else self._frames
        return SavedSession(frames, *lost, self._bytes, self._trouble, self._is_broken)

    def _admitted(self, samples: Sequence[Sample]) -> list[Sample | FrameLine]:
        """The samples; frames for whose pixels there is no room left without them."""
        sizes = [each.pixels.nbytes for each in samples if isinstance(each, SceneFrame)]
        if self._patient and sizes:  # for all at once: none of them is written before
            self._room.take(sum(sizes), wait=True)
            return list(samples)
        return [self._placed(sample) for sample in samples]

    def _placed(self, sample: Sample) -> Sample | FrameLine:
        if not isinstance(sample, SceneFrame) or self._room.take(sample.pixels.nbytes, wait=False):
            return sample
        self._lost_frames += 1
        return FrameLine(sample.captured_at, sample.arrived_at, sample.index, saved=False)

    def _dismiss(self, sample: Sample | FrameLine) -> None:
        if isinstance(sample, SceneFrame):
            self._room.leave(sample.pixels.nbytes)

    def _write_all(self) -> None:
        try:
            while (batch := self._waiting.get()) is not None:
                if self._trouble is None:
                    self._write(batch)
                for sample in batch.samples:
                    self._dismiss(sample)
        finally:
            self._close_files()

    def _write(self, batch: _Batch) -> None:
        try:
            for sample in batch.samples:
                self._put(self._line(sample))
            self._put(poll_line(batch.delivery, batch.polled_at))
            self._lines.flush()
        except (OSError, ValueError, av.FFmpegError) as error:
            self._break(f"the session could not be saved any further: {_reason(error)}")
            return
        if self._bytes > self._limit:
            self._trouble = (
                f"the session reached its limit of {self._limit / (1 << 30):.1f} GiB: what came "
                "later is not in it"
            )

    def _put(self, line: bytes) -> None:
        self._lines.write(line)
        self._bytes += len(line)

    def _line(self, sample: Sample | FrameLine) -> bytes:
        if isinstance(sample, FrameLine):
            return frame_line(sample)
        if not isinstance(sample, SceneFrame):
            return sample_line(sample)
        pixels = self._shrink(sample.pixels)
        height, width = pixels.shape[:2]
        if self._video is None:
            self._video = FrameWriter(self._video_path, width, height)
        saved = self._video.size == (width, height)
        if saved:
            self._bytes += self._video.write(pixels, sample.captured_at)
            self._frames += 1
        else:
            self._lost_frames += 1
        return frame_line(FrameLine(sample.captured_at, sample.arrived_at, sample.index, saved))

    def _close_files(self) -> None:
        for file in filter(None, (self._lines, self._video)):
            try:
                file.close()
            except (OSError, ValueError, av.FFmpegError) as error:
                self._break(f"the end of the session is not saved: {_reason(error)}")

    def _break(self, trouble: str) -> None:
        self._is_broken = True
        self._trouble = self._trouble or trouble


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _opened(folder: Path, head: Head) -> BinaryIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise DeviceError(f"--session {folder}: the folder is not empty: give a new one")
        write_head(folder, head)
        return (folder / LINES).open("wb")
    except OSError as error:
        raise DeviceError(f"--session {folder}: {error.strerror}") from error
