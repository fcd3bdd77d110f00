"""RTSP answers and RTP packets from one TCP connection, whatever else the phone puts between.

The client library's own parser ends the connection at the first byte that it does not expect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aiortsp.rtsp.parser import RTSPResponse

_RESPONSE = b"RTSP/"
_HEADER_END = b"\r\n\r\n"
_CHANNELS = 2


@dataclass(frozen=True, slots=True)
class Interleaved:
    """One interleaved packet; `id` is its channel: 0 RTP, 1 RTCP."""

    id: int
    data: bytes
    type: str = "binary"

    @property
    def length(self) -> int:
        return len(self.data)


class InterleavedParser:
    """Takes the place of `aiortsp`'s RTSPParser; `skipped` counts the bytes it could not read."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.skipped = 0

    def parse(self, data: bytes) -> Iterator[RTSPResponse | Interleaved]:
        """Take the next bytes; yields what is complete."""
        self._buffer += data
        start = 0
        try:
            while start < len(self._buffer):
                end, message = self._message(start)
                if end is None:
                    return
                if message is not None:
                    yield message
                start = end
        finally:
            del self._buffer[:start]

    def _message(self, start: int) -> tuple[int | None, RTSPResponse | Interleaved | None]:
        """(where the next message begins, the one at `start`); None: more bytes are needed."""
        buffer = self._buffer
        if buffer[start] == 0x24:
            return self._packet(start)
        if buffer.startswith(_RESPONSE, start):
            return self._response(start)
        if _RESPONSE.startswith(buffer[start : start + len(_RESPONSE)]):
            return None, None
        return self._resume(start + 1), None

    def _packet(self, start: int) -> tuple[int | None, Interleaved | None]:
        buffer = self._buffer
        if len(buffer) < start + 5:
            return None, None
        if buffer[start + 1] >= _CHANNELS or buffer[start + 4] >> 6 != 2:
            return self._resume(start + 1), None
        end = start + 4 + int.from_bytes(buffer[start + 2 : start + 4], "big")
        if len(buffer) < end:
            return None, None
        return end, Interleaved(buffer[start + 1], bytes(buffer[start + 4 : end]))

    def _response(self, start: int) -> tuple[int | None, RTSPResponse | None]:
        buffer = self._buffer
        head_end = buffer.find(_HEADER_END, start)
        if head_end < 0:
            return None, None
        head = bytes(buffer[start : head_end + len(_HEADER_END)])
        try:
            end = start + len(head) + _content_length(head)
            if len(buffer) < end:
                return None, None
            response = RTSPResponse()
            response.feed(bytes(buffer[start:end]))
        except Exception:
            # The library answers damaged headers with errors of many kinds.
            return self._resume(start + 1), None
        return end, response

    def _resume(self, start: int) -> int:
        """Where something readable may begin, from `start` on."""
        found = [self._buffer.find(mark, start) for mark in (b"$", b"R")]
        end = min((position for position in found if position >= 0), default=len(self._buffer))
        self.skipped += end - start + 1
        return end


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
