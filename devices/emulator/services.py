"""The phone's other services: status and control over HTTP and WebSocket, and the time echo."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from uuid import uuid4

from aiohttp import WSMsgType, web

from devices.clock import NANOSECONDS
from devices.emulator.phone import Phone
from devices.neon import wire

_MILLISECOND = NANOSECONDS // 1000
STATUS_SPACING = 0.05
"""Seconds between two looks at whether the status has changed."""


class HttpService:
    """`/api/status` (also as a WebSocket), recordings, events, `/calibration.bin`."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._recording: str | None = None
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; the port goes into the phone's `ports`."""
        application = web.Application(middlewares=[self._hang])
        application.add_routes(
            [
                web.get("/api/status", self._status),
                web.post("/api/recording:start", self._start_recording),
                web.post("/api/recording:stop_and_save", self._stop_recording),
                web.post("/api/recording:cancel", self._stop_recording),
                web.post("/api/event", self._event),
                web.get("/calibration.bin", self._calibration),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, self._phone.address, self._phone.ports.http, reuse_address=True
        )
        await site.start()
        self._phone.ports.http = self._runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _hang(self, request: web.Request, handler: web.Handler) -> web.StreamResponse:
        """A half-open phone accepts connections and never answers."""
        while self._phone.fault("half-open"):
            await asyncio.sleep(STATUS_SPACING)
        return await handler(request)

    async def _status(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._status_updates(request)
        return _envelope(self._phone.components())

    async def _status_updates(self, request: web.Request) -> web.StreamResponse:
        """Every component once, then each that changes."""
        channel = web.WebSocketResponse()
        await channel.prepare(request)
        sent: list[dict[str, object]] = []
        while not channel.closed:
            components = self._phone.components()
            for component in components:
                if component not in sent:
                    await channel.send_json(component)
            sent = components
            with suppress(asyncio.TimeoutError):
                message = await channel.receive(timeout=STATUS_SPACING)
                if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
                    break
        return channel

    async def _start_recording(self, request: web.Request) -> web.Response:
        if self._recording is not None:
            return _envelope(None, "Already recording!", 400)
        self._recording = str(uuid4())
        return _envelope({"id": self._recording})

    async def _stop_recording(self, request: web.Request) -> web.Response:
        if self._recording is None:
            return _envelope(None, "Recording is not running!", 400)
        self._recording = None
        return _envelope(None)

    async def _event(self, request: web.Request) -> web.Response:
        try:
            event = await request.json()
        except ValueError:
            event = None
        if not isinstance(event, dict):
            return _envelope(None, "An event is a JSON object with a name.", 400)
        moment = event.get("timestamp", self._phone.unix(self._phone.clock.now()))
        return _envelope({"recording_id": self._recording, "timestamp": moment})

    async def _calibration(self, request: web.Request) -> web.Response:
        calibration = self._phone.programme.calibration
        if calibration is None or self._phone.settings.hardware != wire.NEON_HARDWARE:
            return web.Response(status=404)
        return web.Response(body=calibration, content_type="application/octet-stream")


class EchoService:
    """The time echo: u64 ms of the client in, the same and u64 ms of the phone out."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen; the port goes into the phone's `ports`."""
        ports = self._phone.ports
        self._server = await asyncio.start_server(self._serve, self._phone.address, ports.echo)
        ports.echo = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                question = await reader.readexactly(8)
                if not self._phone.fault("half-open"):
                    now = self._phone.unix(self._phone.clock.now()) // _MILLISECOND
                    writer.write(question + struct.pack("!Q", now))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


def _envelope(result: object, message: str = "Success", status: int = 200) -> web.Response:
    return web.json_response({"message": message, "result": result}, status=status)
