"""Tells the network about the emulator as a phone does, so that it is found without an address."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from devices.device import DeviceError

SERVICE = "_http._tcp.local."
ANNOUNCED_AS = "PI monitor"  # how the Companion app's name begins, by which clients know it


@contextmanager
def announced(address: str, port: int) -> Iterator[None]:
    """Announce a phone at an IPv4 address over multicast DNS meanwhile. Raises DeviceError."""
    from zeroconf import Error, ServiceInfo, Zeroconf

    service = ServiceInfo(
        SERVICE,
        f"{ANNOUNCED_AS}:Emulator {port}:emulated.{SERVICE}",
        addresses=[socket.inet_aton(address)],
        port=port,
        server=f"emulator-{port}.local.",
    )
    try:
        network = Zeroconf(interfaces=[address])
    except (OSError, Error) as error:
        raise DeviceError(
            f"the emulator can't be announced at {address} ({error}): leave out --announce and "
            "connect with --address"
        ) from error
    try:
        network.register_service(service)
        yield
    finally:
        network.unregister_all_services()
        network.close()
