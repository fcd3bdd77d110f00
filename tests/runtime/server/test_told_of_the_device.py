"""A page is told of an emulated phone what its real one would say."""

import asyncio
import json
import re
import subprocess
import sys
from contextlib import contextmanager

import aiohttp
import pytest
from served_run import served

pytestmark = pytest.mark.realtime


@contextmanager
def emulated(recording):
    """Yields the address of an emulated phone that plays a recording."""
    command = [sys.executable, "-m", "devices.emulator", "--recording", str(recording)]
    process = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        yield re.search(r"neon at (\S+:\d+)", process.stdout.readline())[1]
    finally:
        process.terminate()
        process.communicate()


def test_battery_and_transport_come_every_second(shared_data):
    async def told(address):
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{address}live") as page:
            found = []
            while len(found) < 2:
                message = await page.receive(timeout=20)
                if message.type is aiohttp.WSMsgType.TEXT:
                    heard = json.loads(message.data)
                    found += [heard] if heard["type"] == "condition" else []
            return found

    with (
        emulated(shared_data / "neon-recording") as phone,
        served("--device", "neon", "--address", phone, "--transport", "tcp") as (address, _),
    ):
        for condition in asyncio.run(told(address)):
            assert (condition["battery_level"], condition["transport"]) == (80, "tcp")
            assert condition["worn"] in (True, False)
