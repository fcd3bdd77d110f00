"""An announced emulator is found by the library's own search, without an address."""

import asyncio

from devices.emulator.announcement import announced
from devices.emulator.emulator import Emulator
from devices.emulator.programmes.drawn import draw_test_card
from devices.neon.device import NeonDevice


async def found_at(port):
    """The address of the phone that the library finds at this port; others may be about."""
    from pupil_labs.realtime_api import discover_devices

    async for phone in discover_devices(10.0):
        if phone.port == port:
            return phone.addresses[0]
    return None


def test_it_is_found_while_it_is_announced():
    with Emulator(draw_test_card()) as emulator:
        with announced(emulator.address, emulator.port):
            address = asyncio.run(found_at(emulator.port))
        assert address == emulator.address
        with NeonDevice(f"{address}:{emulator.port}") as info:
            assert info.name
