"""One RTSP session, on the client library's connection and transports (its packet seam).

What differs from the library's own reader: packets go straight to the receiver instead of into an
unbounded queue; bytes that make no sense are skipped; no receiver reports are sent, which
Companion 2.9.31 answers with error lines between the packets; waiting is bounded.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import urlparse

from aiortsp.rtsp.connection import RTSPConnection
from aiortsp.rtsp.errors import RTSPError
from aiortsp.rtsp.session import RTSPMediaSession
from aiortsp.transport.tcp import TCPTransport
from aiortsp.transport.udp import UDPTransport

from devices.neon import wire
from devices.neon.bitstream import StreamParameters, parse_parameters
from devices.neon.interleaved import InterleavedParser

Transport = Literal["udp", "tcp"]

OPENING_TIMEOUT = 1.5
FAREWELL_TIMEOUT = 0.2
"""Seconds for the whole of connecting, and for taking leave."""

_quiet = logging.getLogger("devices.neon.session")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class SessionFailed(Exception):
    """The stream can't be opened. The message says why in a few words."""


class Receiver(Protocol):
    """Where a session's packets go, as soon as they have arrived."""

    def on_packet(self, data: bytes) -> None: ...

    def on_report(self, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Description:
    """What the phone says of a stream: ticks per second, payload type, H.264 parameter sets."""

    rate: int
    payload_type: int
    parameters: tuple[bytes, ...]


class _Handing:
    """Gives what a transport receives to a Receiver."""

    receiver: Receiver

    def handle_rtp_data(self, data: bytes) -> None:
        self.receiver.on_packet(data)

    def handle_rtcp_data(self, data: bytes) -> None:
        self.receiver.on_report(data)


class _Udp(_Handing, UDPTransport):
    pass


class _Tcp(_Handing, TCPTransport):
    pass


class Session:
    """One stream of the phone, from opening to closing."""

    def __init__(self, url: str, transport: Transport, receiver: Receiver) -> None:
        parts = urlparse(url)
        self._url = url
        self._connection = RTSPConnection(
            parts.hostname, parts.port, logger=_quiet, timeout=OPENING_TIMEOUT
        )
        self._connection.parser = InterleavedParser()
        # An error that nobody asks for is no reason for a message.
        self._connection.result.add_done_callback(lambda done: done.cancelled() or done.exception())
        kind = _Udp if transport == "udp" else _Tcp
        self._transport = kind(self._connection, logger=_quiet, timeout=0)
        self._transport.receiver = receiver
        self._media = RTSPMediaSession(self._connection, url, self._transport, logger=_quiet)
        self._prepared = False

    @property
    def running(self) -> bool:
        """Whether the connection is still open, as far as this side can know."""
        return self._connection.running

    @property
    def keep_alive_spacing(self) -> float:
        """Seconds between two signs of life that the phone asks for."""
        return self._media.session_keepalive / 2

    async def open(self) -> Description:
        """Connect and ask for the stream's description. Raises SessionFailed."""
        try:
            async with asyncio.timeout(OPENING_TIMEOUT):
                await self._connection.prepare()
                await self._transport.prepare()
                self._prepared = True
                await self._media.setup()
            return _description(self._media.sdp)
        except (RTSPError, OSError, TimeoutError, AssertionError) as error:
            raise SessionFailed(str(error) or "no answer in time") from error

    async def play(self) -> None:
        """Let the packets come. Raises SessionFailed."""
        await self._ask(self._media.play())

    async def keep_alive(self) -> None:
        """Tell the phone that somebody still listens. Raises SessionFailed."""
        await self._ask(self._media.keep_alive())

    async def _ask(self, request: Any) -> None:  # noqa: ANN401 - a coroutine of the library
        try:
            async with asyncio.timeout(OPENING_TIMEOUT):
                await request
        except (RTSPError, OSError, TimeoutError) as error:
            raise SessionFailed(str(error) or "no answer in time") from error

    async def close(self, farewell: bool) -> None:
        """Free the sockets; `farewell`: tell the phone first."""
        if farewell and self._connection.running:
            try:
                async with asyncio.timeout(FAREWELL_TIMEOUT):
                    await self._media.teardown()
            except (RTSPError, OSError, TimeoutError):
                pass
        if self._prepared:
            self._transport.close()
        self._connection.close()


def _description(sdp: dict[str, Any]) -> Description:
    """Read the video of a session description, else its first medium. Raises SessionFailed.

    The scene camera's also describes its microphone.
    """
    try:
        media = sdp["medias"]
        attributes = next((m for m in media if m["type"] == "video"), media[0])["attributes"]
        mapping = attributes["rtpmap"]
        sets = attributes.get("fmtp", {}).get("sprop-parameter-sets", "")
        parameters = tuple(base64.b64decode(text) for text in sets.split(",") if text)
        return Description(mapping["clockRate"], mapping["pt"], parameters)
    except (KeyError, IndexError, ValueError) as error:
        raise SessionFailed("its description makes no sense") from error


def stream_parameters(description: Description) -> StreamParameters:
    """What a video stream's description says of its pictures. Raises SessionFailed."""
    for unit in description.parameters:
        if unit[0] & 0x1F == wire.SEQUENCE_PARAMETERS:
            try:
                return parse_parameters(unit)
            except wire.MalformedPacket as error:
                raise SessionFailed(f"its H.264 parameters can't be read: {error}") from error
    raise SessionFailed("its description has no H.264 parameters")
