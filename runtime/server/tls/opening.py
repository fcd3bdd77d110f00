"""The certificate of a server, as the command line asks for one."""

from __future__ import annotations

import datetime as dt
import os
import socket
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import platformdirs

from runtime.bundle.verification import APPLICATION
from runtime.errors import RuntimeFault
from runtime.server.addresses import ANY, Address, outgoing_address

if TYPE_CHECKING:
    from runtime.server.tls.authority import Authority

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Identity:
    """How a server speaks TLS. `authority`: who signed, where that was this machine itself."""

    context: ssl.SSLContext
    authority: Authority | None = None


def identity(told: Sequence[str], address: Address) -> Identity:
    """`told`: the words after --tls. Raises RuntimeFault."""
    if list(told) == [AUTO]:
        return _made_here(address)
    if len(told) != 2:
        raise RuntimeFault("--tls takes the files CERT KEY, or the word auto")
    return Identity(_context(*map(Path, told)))


def authority_file() -> Path:
    """Where the authority of this machine is kept."""
    return platformdirs.user_data_path(APPLICATION, appauthor=False) / "authority.pem"


def _made_here(address: Address) -> Identity:
    try:
        from runtime.server.tls.authority import Authority
    except ImportError as error:
        raise RuntimeFault(
            "--tls auto needs the extra 'serve': pip install 'gazeqwen-edge[serve]'"
        ) from error
    now = dt.datetime.now(dt.timezone.utc)
    authority = Authority.kept(authority_file(), now, outgoing_address())
    signed = authority.issue(_hosts(address), now)
    number, name = tempfile.mkstemp()  # the library of TLS reads keys from files only
    try:
        with os.fdopen(number, "wb") as file:
            file.write(signed)
        return Identity(_context(Path(name), Path(name)), authority)
    finally:
        Path(name).unlink()


def _hosts(address: Address) -> list[str]:
    """The names under which a browser may look for it, the most likely first."""
    host = outgoing_address() if address.host in ANY else address.host
    own = f"{socket.gethostname().lower().partition('.')[0]}.local"
    return list(dict.fromkeys((host, *(() if address.is_loopback else (own,)), *_LOOPBACK)))


_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    def locked() -> NoReturn:
        raise RuntimeFault(f"--tls: {key} is locked by a password: give a key without one")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (certificate, key):
        if not path.is_file():
            raise RuntimeFault(f"--tls: there is no file {path}")
    try:
        context.load_cert_chain(certificate, key, password=locked)
    except ssl.SSLError as error:
        reason = "they do not belong together" if "MISMATCH" in str(error) else "it is no PEM"
        raise RuntimeFault(f"--tls {certificate} {key}: {reason}") from error
    except OSError as error:
        raise RuntimeFault(f"--tls {certificate} {key}: {error.strerror}") from error
    return context
