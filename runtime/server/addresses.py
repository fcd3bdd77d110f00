"""Where the server is reached: addresses as people write them, and what they are told of it."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from io import StringIO

from runtime.errors import RuntimeFault

PORT = 8765
ANY = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. `port` 0 takes any that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Of HOST, HOST:PORT or :PORT; IPv6 in brackets. Raises RuntimeFault."""
        host, colon, number = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        if not colon and not host:
            host, number = text, ""
        host = host or "127.0.0.1"
        is_bare = ":" in host and not (host.startswith("[") and host.endswith("]"))
        is_number = number.isascii() and number.isdecimal() and int(number) < 2**16
        if is_bare or (number and not is_number) or (colon and not number):
            raise RuntimeFault(
                f"--serve {text!r} should read like 127.0.0.1:{PORT}, 0.0.0.0:{PORT} or "
                f"[::1]:{PORT}"
            )
        return cls(host.strip("[]"), int(number) if number else PORT)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def shown_host(self) -> str:
        """The host as another machine names it: of all addresses, the one that leads out."""
        host = outgoing_address() if self.host in ANY else self.host
        return f"[{host}]" if ":" in host else host

    def listen(self) -> socket.socket:
        """A socket that listens here. Raises RuntimeFault in one line where that can't be."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((self.host, self.port))
            listening.listen(128)
        except OSError as error:
            listening.close()
            raise RuntimeFault(
                f"{self.host}:{self.port} can't be served ({error.strerror or error}): choose "
                "another with --serve HOST:PORT"
            ) from error
        return listening


def outgoing_address() -> str:
    """The address of this machine in its network; loopback where it has none. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def qr_code(url: str) -> str | None:
    """A QR code in characters; None where the extra `serve` is not installed."""
    try:
        import segno
    except ImportError:
        return None
    drawn = StringIO()
    segno.make(url, micro=False).terminal(out=drawn, compact=True)
    return drawn.getvalue()
