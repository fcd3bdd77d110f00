"""The two UDP sockets of a stream: RTP on an even port, RTCP on the next (RFC 3550, 11)."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import suppress

RECEIVE_BUFFER = 4 * 2**20
"""Bytes: key frames of a real Neon are 155 KB, all at once."""
ATTEMPTS = 20

Take = Callable[[bytes], None]


class _Sink(asyncio.DatagramProtocol):
    """Takes datagrams of one host, and of no other."""

    def __init__(self, host: str, take: Take, on_stranger: Take) -> None:
        self._host = host
        self._take = take
        self._on_stranger = on_stranger

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if address[0] == self._host:
            self._take(data)
        else:
            self._on_stranger(data)


class DatagramPair:
    """Open from `open` to `close`; `ports` are those of RTP and RTCP."""

    def __init__(self) -> None:
        self.ports = (0, 0)
        self._transports: list[asyncio.DatagramTransport] = []

    async def open(self, host: str, take: tuple[Take, Take], stranger: Take) -> None:
        """Receive from `host` (a numeric address): RTP by the first of `take`, RTCP by the second;
        `stranger` is called for each datagram from elsewhere. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sockets = _pair(family)
        self.ports = tuple(each.getsockname()[1] for each in sockets)
        loop = asyncio.get_running_loop()
        for each, taken in zip(sockets, take, strict=True):
            transport, _ = await loop.create_datagram_endpoint(
                lambda taken=taken: _Sink(host, taken, stranger), sock=each
            )
            self._transports.append(transport)

    def close(self) -> None:
        while self._transports:
            self._transports.pop().close()


def _pair(family: socket.AddressFamily) -> tuple[socket.socket, socket.socket]:
    """Sockets bound to an even port and to the one after it. Raises OSError."""
    for _ in range(ATTEMPTS):
        first = _bound(family, 0)
        port = first.getsockname()[1]
        try:
            second = _bound(family, port ^ 1)
        except OSError:
            first.close()
            continue
        return (first, second) if port % 2 == 0 else (second, first)
    raise OSError(errno.EADDRINUSE, "no two UDP ports in a row are free")


def _bound(family: socket.AddressFamily, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        with suppress(OSError):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        bound.bind(("", port))
    except OSError:
        bound.close()
        raise
    return bound
