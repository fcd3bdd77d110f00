"""One RTSP session: a stream of the phone, from its description to its end.

What differs from the client library's: packets go straight to the receiver instead of into an
unbounded queue; bytes that make no sense are skipped, and lengths that can't be refused; no
receiver reports are sent, which Companion 2.9.31 answers with error lines between the packets;
waiting is bounded.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import Literal, Protocol
from urllib.parse import urlsplit

from devices.neon.rtsp.answers import Answer
from devices.neon.rtsp.connection import SILENT, Connection, PhoneRefuses, SessionFailed
from devices.neon.rtsp.datagrams import DatagramPair
from devices.neon.rtsp.description import (
    Description,
    MalformedDescription,
    Medium,
    MissingMedium,
    parse_description,
)
from devices.waiting import within

Transport = Literal["udp", "tcp"]

OPENING_TIMEOUT = 1.5
FAREWELL_TIMEOUT = 0.2
"""Seconds for the whole of connecting, and for taking leave."""
SESSION_TIMEOUT, SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 60, 4, 3600
"""Seconds after which the phone ends a session of which it hears nothing, unless it says other."""
MOST_URL, MOST_SESSION = 1000, 200
_SOURCE = re.compile(r"[0-9A-Fa-f]{1,8}")


class NoSuchMedium(SessionFailed):
    """The phone has the stream, but not with what is wanted of it."""


class Receiver(Protocol):
    """Where a session's packets go, as soon as they have arrived."""

    def on_packet(self, data: bytes) -> None: ...

    def on_report(self, data: bytes) -> None: ...

    def on_stranger(self, data: bytes) -> None: ...


class Session:
    """One stream of the phone, from opening to closing."""

    def __init__(
        self, url: str, transport: Transport, receiver: Receiver, medium: Medium = "video"
    ) -> None:
        """`url`: rtsp://HOST:PORT/..., its port a valid one. `medium`: which of it is wanted."""
        self._medium: Medium = medium
        self._url = url
        self._base = url
        self._transport = transport
        self._receiver = receiver
        self._connection = Connection(self._on_interleaved)
        self._datagrams = DatagramPair()
        self._identity = ""
        self._timeout = SESSION_TIMEOUT
        self._keep_alive_method = "OPTIONS"

    @property
    def running(self) -> bool:
        """Whether the connection is still open, as far as this side can know."""
        return self._connection.running

    @property
    def keep_alive_spacing(self) -> float:
        """Seconds between two signs of life that the phone asks for."""
        return 0.45 * self._timeout

    async def open(self) -> Description:
        """Connect and set the stream up. Raises SessionFailed, PhoneRefuses, NoSuchMedium."""
        try:
            async with within(OPENING_TIMEOUT):
                return await self._open()
        except TimeoutError as error:
            raise SessionFailed(SILENT) from error
        except OSError as error:
            raise SessionFailed(error.strerror or str(error)) from error
        except MissingMedium as error:
            raise NoSuchMedium(str(error)) from error
        except MalformedDescription as error:
            raise PhoneRefuses(f"its description makes no sense: {error}") from error

    async def _open(self) -> Description:
        parts = urlsplit(self._url)
        await self._connection.open(parts.hostname or "", parts.port or 554)
        offered = (await self._ask("OPTIONS", self._url)).fields.get("public", "").upper()
        if "GET_PARAMETER" in offered:
            self._keep_alive_method = "GET_PARAMETER"
        answer = await self._ask("DESCRIBE", self._url, Accept="application/sdp")
        description = parse_description(answer.body.decode("utf-8", "replace"), self._medium)
        base = answer.fields.get("content-base", "")
        self._base = base if _is_url(base) else self._url
        answer = await self._ask(
            "SETUP", _joined(self._base, description.control), Transport=await self._offer()
        )
        return replace(description, source=self._read_setup(answer))

    async def _offer(self) -> str:
        """How packets are to come."""
        if self._transport == "tcp":
            return "RTP/AVP/TCP;unicast;interleaved=0-1"
        receiver = self._receiver
        await self._datagrams.open(
            self._connection.peer,
            (receiver.on_packet, receiver.on_report),
            receiver.on_stranger,
        )
        rtp, rtcp = self._datagrams.ports
        return f"RTP/AVP;unicast;client_port={rtp}-{rtcp}"

    def _read_setup(self, answer: Answer) -> int | None:
        """Note the session; returns the SSRC where the answer has it. Raises PhoneRefuses."""
        identity, *options = answer.fields.get("session", "").split(";")
        if not identity.strip() or len(identity) > MOST_SESSION or not identity.isprintable():
            raise PhoneRefuses("its answer to SETUP names no session")
        self._identity = identity.strip()
        timeout = _fields(options).get("timeout", "")
        if timeout.isascii() and timeout.isdecimal() and len(timeout) < 9:
            self._timeout = min(max(int(timeout), SHORTEST_TIMEOUT), LONGEST_TIMEOUT)
        transport = _fields(answer.fields.get("transport", "").split(";"))
        if transport.get("interleaved", "0-1") != "0-1":
            raise PhoneRefuses("it wants other channels than those it was offered")
        source = transport.get("ssrc", "")
        return int(source, 16) if _SOURCE.fullmatch(source) else None

    async def play(self) -> None:
        """Let the packets come. Raises SessionFailed, PhoneRefuses."""
        await self._ask("PLAY", self._base, Scale="1", Range="npt=now-")

    async def keep_alive(self) -> None:
        """Tell the phone that somebody still listens. Raises SessionFailed, PhoneRefuses."""
        await self._ask(self._keep_alive_method, self._base)

    async def close(self, farewell: bool) -> None:
        """Free the sockets; `farewell`: tell the phone first."""
        try:
            if farewell and self._connection.running:
                with suppress(SessionFailed, TimeoutError):
                    async with within(FAREWELL_TIMEOUT):
                        await self._ask("TEARDOWN", self._base)
        finally:
            self._datagrams.close()
            self._connection.close()

    async def _ask(self, method: str, url: str, **fields: str) -> Answer:
        if self._identity:
            fields["Session"] = self._identity
        return await self._connection.ask(method, url, fields)

    def _on_interleaved(self, channel: int, data: bytes) -> None:
        if channel == 0:
            self._receiver.on_packet(data)
        else:
            self._receiver.on_report(data)


def _fields(parts: list[str]) -> dict[str, str]:
    pairs = (part.partition("=")[::2] for part in parts)
    return {name.strip().lower(): value.strip() for name, value in pairs}


def _is_url(text: str) -> bool:
    """Whether a phone's URL can go into a request: one word of plain characters."""
    return (
        text.startswith("rtsp://")
        and len(text) <= MOST_URL
        and text.isascii()
        and text.isprintable()
        and " " not in text
    )


def _joined(base: str, control: str) -> str:
    """The URL of a medium (RFC 2326, C.1.1)."""
    if control.startswith("rtsp://") and _is_url(control):
        return control
    joined = base if base.endswith("/") or control.startswith("/") else f"{base}/"
    return joined + control if control not in ("", "*") and _is_url(joined + control) else base
