"""Clients by the hundred, questions by the ten thousand, readers that don't read, and the end."""

import asyncio
import base64
import json
import os
import signal
import socket
import struct
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import aiohttp
import pytest
from busy import allowed
from served_run import served

pytestmark = pytest.mark.realtime
QUESTIONS = 10_000
CLIENTS = 200
MOST_GROWTH = 48 << 20  # bytes of a run's memory


@pytest.fixture(scope="module")
def run():
    with served() as (address, process):
        deadline = time.monotonic() + 30
        while not health(address):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield address, process


def health(address):
    """Whether the run is well."""
    try:
        with urlopen(f"{address}health", timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def memory(process):
    """Bytes that a process holds."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def upgraded(address, received=None):
    """A socket that speaks as a page's WebSocket; `received`: the size of its buffer."""
    parts = urlsplit(address)
    page = socket.socket()
    if received is not None:
        page.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
    page.settimeout(10)
    page.connect((parts.hostname, parts.port))
    lines = (
        "GET /live HTTP/1.1",
        f"Host: {parts.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
    )
    page.sendall("\r\n".join((*lines, "", "")).encode())
    return page


def vanish(client):
    """Leave without a word: a reset instead of an end."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_ten_thousand_questions_are_refused_but_for_a_few(run):
    address, process = run
    before = memory(process)

    async def flood():
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{address}live") as page:
            for number in range(1, QUESTIONS + 1):
                said = {"do": "ask", "id": number, "text": "What is it?", "options": ["a", "b"]}
                await page.send_str(json.dumps(said))
            told = {"answered": set(), "refused": set()}
            while QUESTIONS not in told["answered"] | told["refused"]:
                message = await page.receive(timeout=20)
                if message.type is aiohttp.WSMsgType.TEXT:
                    heard = json.loads(message.data)
                    if heard["type"] in told:
                        told[heard["type"]].add(heard["id"])
            return told

    told = asyncio.run(flood())
    assert len(told["answered"]) < QUESTIONS / 10
    assert told["refused"]
    assert memory(process) - before < MOST_GROWTH
    assert health(address)


def test_of_a_hundred_requests_at_once_each_is_answered_or_told_to_come_again(run):
    address, _ = run
    body = {"messages": [{"role": "user", "content": "Which?\nA. red\nB. blue"}]}

    async def ask():
        limits = aiohttp.TCPConnector(limit=100)
        async with aiohttp.ClientSession(connector=limits) as session:

            async def one():
                async with session.post(f"{address}v1/chat/completions", json=body) as reply:
                    return reply.status

            while await one() == 429:  # those who have left are not forgotten at once
                await asyncio.sleep(0.1)
            return await asyncio.gather(*(one() for _ in range(100)))

    statuses = asyncio.run(ask())
    assert set(statuses) == {200, 429}
    assert statuses.count(200) >= 16
    assert health(address)


@pytest.mark.parametrize("begun", ["nothing", "half a request", "a page", "a long body"])
def test_clients_that_vanish_cost_nothing(run, begun):
    address, process = run
    parts = urlsplit(address)
    before = memory(process)
    for _ in range(CLIENTS):
        if begun == "a page":
            client = upgraded(address)
        else:
            client = socket.create_connection((parts.hostname, parts.port), timeout=10)
        if begun == "half a request":
            client.sendall(b"GET / HTTP/1.1\r\nHost: ")
        if begun == "a long body":
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            client.sendall(head.encode() + b"Content-Length: 1000000\r\n\r\n{")
        vanish(client)
    deadline = time.monotonic() + 15
    while not (places_are_free(address) and health(address)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert memory(process) - before < MOST_GROWTH


def places_are_free(address):
    """Whether one more page is let in."""
    page = upgraded(address)
    reply = page.recv(64)
    vanish(page)
    return reply.startswith(b"HTTP/1.1 101")


def test_a_page_that_reads_nothing_loses_pictures_and_keeps_nobody_waiting(run):
    address, process = run
    lazy = [upgraded(address, received=4096) for _ in range(4)]
    before = memory(process)

    async def watch(seconds):
        pictures = 0
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{address}live") as page:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                message = await page.receive(timeout=20)
                pictures += message.type is aiohttp.WSMsgType.BINARY
        return pictures

    pictures = asyncio.run(watch(5.0))
    grown = memory(process) - before
    for each in lazy:
        vanish(each)
    assert pictures >= 5
    assert grown < MOST_GROWTH


def test_ctrl_c_closes_everything_within_a_second():
    with served() as (address, process), ExitStack() as clients:
        parts = urlsplit(address)
        clients.enter_context(upgraded(address))
        clients.enter_context(upgraded(address, received=4096))
        events = clients.enter_context(socket.create_connection((parts.hostname, parts.port)))
        events.sendall(f"GET /events HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        half = clients.enter_context(socket.create_connection((parts.hostname, parts.port)))
        half.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\n".encode())
        time.sleep(2.0)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        spent = time.monotonic() - start
        with pytest.raises(OSError):
            socket.create_connection((parts.hostname, parts.port))
    assert spent <= allowed(1.0)


def test_whoever_sees_the_address_may_end_the_run_at_once():
    with served() as (_, process):
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
