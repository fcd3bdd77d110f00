"""RTSP answers and RTP packets from one TCP connection, whatever else the phone puts between.

The client library's own parser ends the connection at the first byte that it does not expect, and
trusts every length that it is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from devices.neon.rtsp.answers import MOST_HEAD, Answer, MalformedAnswer, parse_head

_ANSWER = b"RTSP/"
_STATUS = re.compile(rb"RTSP/1\.[0-9] [0-9]{3}")
_STATUS_LENGTH = 12
_HEAD_END = b"\r\n\r\n"
_BEGINNING = re.compile(
    rb"\$[\x00\x01][\s\S]{2}[\x80-\xbf]|RTSP/1\.[0-9] [0-9]{3}"
    rb"|\$(?:[\x00\x01][\s\S]{0,2})?\Z|R(?:T(?:S(?:P(?:/[\s\S]{0,7})?)?)?)?\Z"
)
"""Of a packet or an answer, or of what the next bytes may make one."""
_CHANNELS = 2
_LEAST_PACKET = 8
"""Bytes: the smallest packet of RTCP; of RTP it is 12."""


@dataclass(frozen=True, slots=True)
class Interleaved:
    """One interleaved packet; channel 0 carries RTP, 1 RTCP."""

    channel: int
    data: bytes


class InterleavedParser:
    """Keeps at most one unfinished message; its work is linear in the bytes that it is given.

    `skipped` counts the bytes it could not read; `damage` says in a few words what was wrong with
    the last answer that made no sense.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # where in the buffer the search for a head's end goes on
        self.skipped = 0
        self.damage: str | None = None

    def parse(self, data: bytes) -> Iterator[Answer | Interleaved]:
        """Take the next bytes; yields what is complete."""
        self._buffer += data
        start = 0
        try:
            while start < len(self._buffer):
                end, message = self._message(start)
                if end is None:
                    return
                # What is done is done, even if who takes the message fails.
                start = end
                if message is not None:
                    yield message
        finally:
            del self._buffer[:start]
            self._searched = max(0, self._searched - start)

    def _message(self, start: int) -> tuple[int | None, Answer | Interleaved | None]:
        """(where the next message begins, the one at `start`); None: more bytes are needed."""
        buffer = self._buffer
        if buffer[start] == 0x24:
            return self._packet(start)
        if buffer.startswith(_ANSWER, start):
            return self._answer(start)
        if _ANSWER.startswith(buffer[start : start + len(_ANSWER)]):
            return None, None
        return self._resume(start + 1), None

    def _packet(self, start: int) -> tuple[int | None, Interleaved | None]:
        buffer = self._buffer
        if len(buffer) < start + 5:
            return None, None
        if buffer[start + 1] >= _CHANNELS or buffer[start + 4] >> 6 != 2:
            return self._resume(start + 1), None
        length = int.from_bytes(buffer[start + 2 : start + 4], "big")
        if length < _LEAST_PACKET:
            return self._resume(start + 1), None
        end = start + 4 + length
        if len(buffer) < end:
            return None, None
        return end, Interleaved(buffer[start + 1], bytes(buffer[start + 4 : end]))

    def _answer(self, start: int) -> tuple[int | None, Answer | None]:
        buffer = self._buffer
        if len(buffer) < start + _STATUS_LENGTH:
            return None, None
        if not _STATUS.match(buffer, start):
            self.damage = "no status"
            return self._resume(start + 1), None
        head_end = self._head_end(start)
        if head_end is None:
            if len(buffer) - start <= MOST_HEAD:
                return None, None
            self.damage = "a head without end"
            return self._resume(start + 1), None
        try:
            answer = parse_head(bytes(buffer[start:head_end]))
        except MalformedAnswer as error:
            self.damage = str(error)
            self.skipped += head_end - start
            return head_end, None
        end = head_end + answer.length
        if len(buffer) < end:
            return None, None
        return end, answer.with_body(bytes(buffer[head_end:end]))

    def _head_end(self, start: int) -> int | None:
        """Where a head that begins at `start` ends; None where no end is in sight.

        Bytes without an end in them are searched once, however many heads begin in them.
        """
        found = self._buffer.find(_HEAD_END, max(start, self._searched))
        if found < 0:
            self._searched = max(start, len(self._buffer) - len(_HEAD_END) + 1)
            return None
        self._searched = found
        end = found + len(_HEAD_END)
        return end if end - start <= MOST_HEAD else None

    def _resume(self, start: int) -> int:
        """Where something readable may begin, from `start` on."""
        found = _BEGINNING.search(self._buffer, start)
        end = found.start() if found else len(self._buffer)
        self.skipped += end - start + 1
        return end
