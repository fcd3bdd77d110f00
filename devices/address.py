"""Network addresses as people write them."""

from __future__ import annotations

from devices.device import DeviceError


def split_address(address: str, port: int) -> tuple[str, int]:
    """(host, port) of "host" or "host:port"; `port` where none is given. Raises DeviceError.

    An address of IPv6 stands in brackets where a port follows: "[::1]:8080"; `host` has none.
    """
    if address.count(":") > 1 and not address.startswith("["):
        host, colon, number = address, "", ""
    elif address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        colon, number = rest[:1], rest[1:]
        if not bracket or colon not in ("", ":"):
            host = ""
    else:
        host, colon, number = address.partition(":")
    is_number = number.isascii() and number.isdecimal() and 0 < int(number) < 2**16
    if not host or (colon and not is_number) or any(sign in host for sign in "[]"):
        raise DeviceError(
            f"the address {address!r} should read like 192.168.1.5, 192.168.1.5:{port} or "
            f"[::1]:{port}"
        )
    return host, int(number) if colon else port


def in_url(host: str) -> str:
    """A host as it stands in a URL, before the port."""
    return f"[{host}]" if ":" in host else host
