"""Network addresses as people write them."""

from __future__ import annotations

from devices.device import DeviceError


def split_address(address: str, port: int) -> tuple[str, int]:
    """(host, port) of "host" or "host:port"; `port` where none is given. Raises DeviceError."""
    host, colon, number = address.partition(":")
    if not colon:
        return address, port
    if not host or not number.isdecimal() or not 0 < int(number) < 2**16:
        raise DeviceError(
            f"the address {address!r} should read like 192.168.1.5 or 192.168.1.5:{port}"
        )
    return host, int(number)
