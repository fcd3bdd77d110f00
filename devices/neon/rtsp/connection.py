"""One TCP connection for RTSP: requests go out, answers and interleaved packets come in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from devices.complaints import reason
from devices.neon.rtsp.answers import Answer
from devices.neon.rtsp.interleaved import Interleaved, InterleavedParser
from devices.printable import printable
from devices.waiting import within

ANSWER_TIMEOUT = 1.5
SILENT = "no answer in time"
REASON_LENGTH = 60


class SessionFailed(Exception):
    """The stream can't be opened or kept. The message says why in a few words."""


class PhoneRefuses(SessionFailed):
    """The phone answers, but not with the stream: no network is at fault."""


class Connection(asyncio.Protocol):
    """Hands interleaved packets (channel, bytes) over as they arrive.

    The work for what arrives is linear in it, and no more than one message is kept.
    """

    def __init__(self, on_packet: Callable[[int, bytes], None]) -> None:
        self._on_packet = on_packet
        self._parser = InterleavedParser()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._sequence = 0

    @property
    def running(self) -> bool:
        """Whether the connection is open, as far as this side can know."""
        return self._transport is not None

    @property
    def peer(self) -> str:
        """The phone's address, as the system writes it. Only while it is open."""
        return self._transport.get_extra_info("peername")[0]

    async def open(self, host: str, port: int) -> None:
        """Connect. Raises SessionFailed."""
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, host, port)
        except (OSError, OverflowError, UnicodeError) as error:
            raise SessionFailed(
                f"no connection to {host}:{port} ({getattr(error, 'strerror', None) or error})"
            ) from error

    async def ask(self, method: str, url: str, fields: Mapping[str, str]) -> Answer:
        """Send a request; returns the good answer to it. Raises SessionFailed, PhoneRefuses."""
        if self._transport is None:
            raise SessionFailed("the phone closed the connection")
        self._sequence += 1
        number = self._sequence
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {number}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        self._parser.damage = None
        try:
            self._transport.write("\r\n".join((*lines, "", "")).encode())
            async with within(ANSWER_TIMEOUT):
                answer = await answered
        except TimeoutError as error:
            raise SessionFailed(SILENT) from error
        finally:
            del self._waiting[number]
        if not answer.is_good:
            said = printable(f"{answer.status} {answer.reason}", REASON_LENGTH)
            raise PhoneRefuses(f"the phone answers {method} with {said}")
        return answer

    def close(self) -> None:
        """Cut the connection; what was not sent yet is lost."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(SessionFailed("the phone closed the connection"))

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._parser.parse(data):
                if isinstance(message, Interleaved):
                    self._on_packet(message.channel, message.data)
                elif message.sequence in self._waiting:
                    answered = self._waiting[message.sequence]
                    if not answered.done():
                        answered.set_result(message)
        except Exception as error:
            # Nobody is above a callback of the event loop but a traceback on the terminal.
            self._fail(SessionFailed(reason(error)))
            self.close()
        if self._parser.damage is not None:
            damage = printable(self._parser.damage, REASON_LENGTH)
            self._fail(PhoneRefuses(f"its answer makes no sense ({damage})"))

    def _fail(self, error: SessionFailed) -> None:
        for answered in self._waiting.values():
            if not answered.done():
                answered.set_exception(error)
