"""POSTs records to an address."""

from __future__ import annotations

import asyncio

import aiohttp
from yarl import URL

from runtime.couriers.courier import Parcel, Refused, Undelivered
from runtime.errors import RuntimeFault

PATIENCE = 5.0  # seconds of one attempt, at most
LATER = (408, 425, 429)  # of HTTP: the request may come again


class Webhook:
    """A `Carrier`. The body is the record's line of JSON; `Idempotency-Key` tells attempts at the
    same record from others. No redirect is followed, and nothing of a reply but its status counts.
    """

    def __init__(self, option: str, address: str) -> None:
        """`option`: of the command line, that named the address. Raises RuntimeFault."""
        try:
            self._url = URL(address)
            is_usable = self._url.scheme in ("http", "https") and bool(self._url.host)
            port = self._url.port
        except ValueError:
            is_usable = False
        if not is_usable:
            raise RuntimeFault(f"{option} {address!r} should read like http://127.0.0.1:9000/path")
        self.name = f"{option} at {self._url.host}:{port}"  # its path may be a secret
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=PATIENCE), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def carry(self, parcel: Parcel) -> None:
        assert self._session is not None
        headers = {"Content-Type": "application/json", "Idempotency-Key": parcel.number}
        try:
            async with self._session.post(
                self._url, data=parcel.body, headers=headers, allow_redirects=False
            ) as reply:
                status = reply.status
        except asyncio.TimeoutError as error:
            raise Undelivered(f"no reply within {PATIENCE:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Undelivered(f"{type(error).__name__}: {error}") from error
        if status in LATER or status >= 500:
            raise Undelivered(f"it replied with status {status}")
        if not 200 <= status < 300:
            raise Refused(f"it replied with status {status}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
