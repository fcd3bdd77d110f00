"""Clients that read nothing while as much comes for them as in ten minutes."""

import asyncio
import socket
import tracemalloc

import pytest
from aiohttp import ClientSession, WSMsgType, web

from runtime.answers.listeners import Notice
from runtime.answers.record import SecondRecord, StreamFact
from runtime.server.aloud.voice import PageVoice
from runtime.server.hub import Hub
from runtime.server.live_socket import LiveSocket
from runtime.server.outlet import MOST_WAITING
from runtime.server.routes import Fetched
from runtime.server.security import Places

SECONDS = 600
PICTURES = 30 * SECONDS
PICTURE = 12_000  # bytes
RECORDS = 5 * SECONDS
MOST_HELD = 4 << 20
NOTHING = StreamFact(0, 0, {})


class AlertsOnly:
    """A desk at which nobody asks."""

    def told_alerts(self):
        return {"type": "alerts", "alerts": []}

    def talk(self, page, held):
        pass


async def opened(path):
    """A socket whose owner asks for a path and reads nothing; its buffer is small."""
    idle = socket.socket()
    idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    idle.setblocking(False)
    host, port = path[0]
    await asyncio.get_running_loop().sock_connect(idle, (host, port))
    upgrade = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    told = f"GET {path[1]} HTTP/1.1\r\nHost: {host}\r\n{upgrade if path[1] == '/live' else ''}\r\n"
    await asyncio.get_running_loop().sock_sendall(idle, told.encode())
    return idle


@pytest.mark.parametrize("path", ["/live", "/events"])
def test_ten_minutes_of_pictures_and_records_wait_for_nobody_and_take_no_memory(path):
    async def run():
        hub, places = Hub(lambda: 1, (4, 4)), Places(4)
        app = web.Application()
        app.router.add_get("/live", LiveSocket(hub, AlertsOnly(), places, {}, PageVoice()).serve)
        app.router.add_get("/events", Fetched(hub, places, {}, lambda: 1).events)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)  # of all that it accepts
        await web.SockSite(runner, listening).start()
        place = runner.addresses[0]
        idle = [await opened((place, path)) for _ in range(3)]
        async with ClientSession() as session:
            url = f"http://{place[0]}:{place[1]}/live"
            async with session.ws_connect(url) as reader:
                while hub.clients < 4:
                    await asyncio.sleep(0.01)
                found = await told(hub, reader)
        held = [len(outlet._messages) for outlet in hub._outlets]
        dropped = sorted(outlet.dropped for outlet in hub._outlets)
        for each in idle:
            each.close()
        await runner.cleanup()
        return (*found, held, dropped)

    grown, read, last, held, dropped = asyncio.run(asyncio.wait_for(run(), 60))
    assert grown < MOST_HELD
    assert last == f"notice {SECONDS - 1}" and read > SECONDS  # who reads misses no line
    assert max(held) <= MOST_WAITING
    assert dropped[-3] > SECONDS  # of each that reads nothing


async def told(hub, reader):
    """Tell ten minutes' worth: (growth in bytes, messages that `reader` got, its last notice)."""
    tracemalloc.start()
    before, most = tracemalloc.get_traced_memory()[0], 0
    got, last = 0, ""
    for second in range(SECONDS):
        for _ in range(PICTURES // SECONDS):
            message = bytes(PICTURE)
            for outlet in hub._watchers():
                outlet.show(message)
        for _ in range(RECORDS // SECONDS):
            hub.hear(SecondRecord(second, NOTHING, NOTHING, 0, 0, 1, 0, *(None,) * 6))
        hub.hear(Notice(f"notice {second}"))
        while last != f"notice {second}":
            message = await reader.receive(timeout=10)
            got += 1
            if message.type is WSMsgType.TEXT and (heard := message.json())["type"] == "notice":
                last = heard["line"]
        most = max(most, tracemalloc.get_traced_memory()[0] - before)
    tracemalloc.stop()
    return most, got, last
