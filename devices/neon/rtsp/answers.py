"""RTSP answers (RFC 2326), with a bound on everything that they may say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

MOST_HEAD, MOST_BODY = 2**14, 2**17
"""Bytes of an answer's head and of what follows it; a Neon's are a hundredth of that."""
_STATUS = re.compile(r"RTSP/1\.[0-9] ([1-5][0-9]{2})(?: (.*))?", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,9}")


class MalformedAnswer(ValueError):
    """An answer that makes no sense. The message says why in a few words."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; the names of `fields` are in lower case, the last of a name counts.

    `length`: how many bytes follow the head.
    """

    status: int
    reason: str
    fields: Mapping[str, str]
    length: int
    body: bytes = b""

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def sequence(self) -> int | None:
        """The number of the request that it answers; None where it does not say."""
        number = self.fields.get("cseq", "")
        return int(number) if _NUMBER.fullmatch(number) else None

    def with_body(self, body: bytes) -> Answer:
        return replace(self, body=body)


def parse_head(head: bytes) -> Answer:
    """Read an answer up to its empty line. Raises MalformedAnswer."""
    if len(head) > MOST_HEAD:
        raise MalformedAnswer(f"a head of {len(head)} bytes")
    first, *lines = head.decode("utf-8", "replace").removesuffix("\r\n\r\n").split("\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise MalformedAnswer("no status")
    fields = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise MalformedAnswer("a line without a colon")
        fields[name.strip().lower()] = value.strip()
    length = fields.get("content-length", "0")
    if not _NUMBER.fullmatch(length) or int(length) > MOST_BODY:
        raise MalformedAnswer(f"Content-Length: {length}")
    return Answer(int(status[1]), (status[2] or "").strip(), fields, int(length))
