"""Whole H.264 pictures to frames, in a thread of their own; a doubtful one is never delivered."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from devices.clock import Clock, SystemClock
from devices.complaints import Complaints, reason
from devices.mailbox import ENDED, Mailbox
from devices.neon import wire
from devices.neon.video.bitstream import ParameterSets
from devices.neon.video.h264 import CodedPicture
from devices.samples import SceneFrame

INCOMPLETE = "packet loss"
NO_KEY_FRAME = "waiting for a key frame"
CORRUPT = "corrupt"
NO_PARAMETERS = "no H.264 parameters yet"
UNDATED = "clock not known"
BEHIND = "decoder behind"

# Errors end the decoding of a picture instead of being concealed, bits left over at its end are
# errors too, and libav keeps its complaints to itself. Damage that leaves a valid picture behind
# can't be seen by any decoder; it is what the checksums of UDP and TCP are for.
_STRICT = {
    "err_detect": "explode+crccheck+bitstream+buffer+careful+aggressive",
    "ec": "0",
    "log_level_offset": "100",
}


class CorruptPicture(Exception):
    """A picture that the decoder refuses."""


class Decoder:
    """One stream's decoder: a picture in, its frame out, without delay."""

    def __init__(self, parameters: tuple[bytes, ...]) -> None:
        """`parameters`: SPS and PPS as NAL units, without start codes."""
        self._context = av.CodecContext.create("h264", "r")
        # Threads per frame would hold frames back.
        self._context.thread_count = 1
        self._context.options = dict(_STRICT)
        self._context.extradata = b"".join(wire.START_CODE + unit for unit in parameters)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """The frame, uint8 RGB (height, width, 3). Raises CorruptPicture."""
        try:
            frames = self._context.decode(av.Packet(data))
            if len(frames) != 1 or frames[0].is_corrupt:
                raise CorruptPicture("no whole frame in it")
            return frames[0].to_ndarray(format="rgb24")
        except av.FFmpegError as error:
            raise CorruptPicture(str(error)) from error


@dataclass(frozen=True, slots=True)
class _NewStream:
    pass


@dataclass(frozen=True, slots=True)
class _Dated:
    index: int
    picture: CodedPicture
    captured_at: int | None
    skipped: bool


class VideoThread:
    """Decodes what it is given and hands frames into the mailbox, dated and counted."""

    def __init__(
        self,
        mailbox: Mailbox,
        decoder: Callable[[tuple[bytes, ...]], Decoder] = Decoder,
        limit: int = 45,
        clock: Clock | None = None,
    ) -> None:
        """`limit`: pictures that wait for the decoder; beyond it they are dropped."""
        self._mailbox = mailbox
        self._clock = clock or SystemClock()
        self._faults = Complaints(mailbox.note)
        self._new_decoder = decoder
        self._decoder: Decoder | None = None
        self._sets: ParameterSets | None = None  # that the decoder knows
        self._limit = limit
        self._queue: queue.SimpleQueue[_NewStream | _Dated | None] = queue.SimpleQueue()
        self._skipped = False
        self._stopping = False
        self._needs_key = True
        self._index = 0
        self._thread = threading.Thread(target=self._run, name="neon-video", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what waits is counted as dropped."""
        self._stopping = True
        self._queue.put(None)
        self._thread.join()
        while not self._queue.empty():
            self._forget(self._queue.get())

    def begin_stream(self) -> None:
        """A new connection: decode anew, from the next key frame on."""
        self._queue.put(_NewStream())

    def take(self, picture: CodedPicture, captured_at: int | None) -> None:
        """Queue a received picture; `captured_at` (Unix ns, host) None where it is not known."""
        self._mailbox.receive("frames")
        index, self._index = self._index, self._index + 1
        if self._queue.qsize() >= self._limit:
            self._mailbox.drop("frames", BEHIND)
            self._skipped = True
            return
        self._queue.put(_Dated(index, picture, captured_at, self._skipped))
        self._skipped = False

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:
            if self._stopping:
                self._forget(entry)
            elif isinstance(entry, _NewStream):
                self._begin_anew()
            else:
                self._process(entry)

    def _begin_anew(self) -> None:
        self._decoder = self._sets = None
        self._needs_key = True

    def _forget(self, entry: _NewStream | _Dated | None) -> None:
        if isinstance(entry, _Dated):
            self._mailbox.drop("frames", ENDED, entry.captured_at)

    def _process(self, entry: _Dated) -> None:
        try:
            cause, pixels = self._decoded(entry)
        except Exception as error:
            # The thread goes on, whatever a picture does to the decoder.
            self._begin_anew()
            self._faults.add(f"scene camera: {reason(error)}", self._clock.now())
            cause, pixels = CORRUPT, None
        if cause is not None:
            self._mailbox.drop("frames", cause, entry.captured_at)
        elif entry.captured_at is None:
            self._mailbox.drop("frames", UNDATED)
        else:
            self._mailbox.hand_in(
                SceneFrame(entry.captured_at, entry.picture.arrived_at, entry.index, pixels)
            )

    def _decoded(self, entry: _Dated) -> tuple[str | None, NDArray[np.uint8] | None]:
        """(why there is no frame, the frame): one of the two is None."""
        picture = entry.picture
        if picture.gap or entry.skipped:
            self._needs_key = True
        if picture.data is None:
            return INCOMPLETE, None
        if picture.sets is None:
            return NO_PARAMETERS, None
        if self._needs_key and not picture.key:
            return NO_KEY_FRAME, None
        if self._decoder is None or self._sets != picture.sets:
            self._decoder, self._sets = self._new_decoder(picture.sets.units), picture.sets
        try:
            pixels = self._decoder.decode(picture.data)
        except CorruptPicture:
            self._begin_anew()
            return CORRUPT, None
        if pixels.shape[1::-1] != picture.sets.size:
            self._begin_anew()
            return CORRUPT, None
        self._needs_key = False
        return None, pixels
