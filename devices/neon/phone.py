"""The phone's HTTP side: finding it, its status, its calibration, every answer bounded.

The client library, which finds phones and knows the layout of a calibration, is imported only
when that is asked for: it takes seconds.
"""

from __future__ import annotations

import os
import zlib

import aiohttp

from devices.complaints import REASON_LENGTH
from devices.device import DeviceError
from devices.neon.status import MOST_STATUS, MalformedStatus, PhoneStatus, parse_status
from devices.neon.undistortion import Lens
from devices.printable import printable
from devices.waiting import within

STATUS_TIMEOUT = 1.0
MOST_CALIBRATION = 2**16
"""Bytes; a real one has a thousand."""
ADVICE = (
    "check that phone and computer are on the same Wi-Fi, that the IP address is right, that the "
    "Companion app is open, and that no firewall blocks it"
)


class PhoneSilent(Exception):
    """The phone does not answer. The message says how in a few words."""


class PhoneConfused(PhoneSilent):
    """The phone answers, but not sensibly: no network is at fault."""


class Phone:
    """One phone at `address` and `port`; its methods run in the device's event loop."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self._client: aiohttp.ClientSession | None = None

    async def status(self, timeout: float = STATUS_TIMEOUT) -> PhoneStatus:
        """Ask for the present status. Raises PhoneSilent, PhoneConfused."""
        body = await self._get("/api/status", MOST_STATUS, timeout)
        try:
            return parse_status(body)
        except MalformedStatus as error:
            raise PhoneConfused(f"its status makes no sense: {error}") from error

    async def lens(self) -> Lens:
        """The scene camera's calibration. Raises PhoneSilent, PhoneConfused."""
        body = await self._get("/calibration.bin", MOST_CALIBRATION, STATUS_TIMEOUT)
        return parse_calibration(body)

    async def _get(self, path: str, most: int, timeout: float) -> bytes:
        """The body of a good answer, of at most so many bytes. Raises PhoneSilent, PhoneConfused.

        Nothing is unpacked and no redirection followed: a phone does neither, and both are ways to
        make much out of little.
        """
        host = f"[{self.address}]" if ":" in self.address else self.address
        try:
            async with (
                within(timeout),
                self._session().get(
                    f"http://{host}:{self.port}{path}", allow_redirects=False
                ) as response,
            ):
                if response.status != 200:
                    said = printable(f"{response.status} {response.reason or ''}", REASON_LENGTH)
                    raise PhoneConfused(f"it answers {path} with {said}")
                body = bytearray()
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > most:
                        response.close()
                        raise PhoneConfused(f"it answers {path} with more than {most} bytes")
                return bytes(body)
        except TimeoutError as error:
            raise PhoneSilent("no answer in time") from error
        except PhoneSilent:
            raise
        except Exception as error:
            # The HTTP client answers damaged data and lost connections with errors of many kinds.
            raise PhoneSilent(_reason(error)) from error

    async def close(self) -> None:
        """Free the connection."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                headers={"Accept-Encoding": "identity"}, auto_decompress=False
            )
        return self._client


def parse_calibration(body: bytes) -> Lens:
    """Read a Neon's `calibration.bin`. Raises PhoneConfused."""
    from pupil_labs.neon_recording.calib import Calibration

    if zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
        raise PhoneConfused("its calibration is damaged (its checksum is another)")
    try:
        calibration = Calibration.from_buffer(body)
        return Lens.from_calibration(
            calibration.scene_camera_matrix, calibration.scene_distortion_coefficients
        )
    except Exception as error:
        # The library checks nothing: what it raises depends on what is wrong.
        said = printable(str(error), REASON_LENGTH)
        raise PhoneConfused(f"its calibration makes no sense: {said}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return printable(str(error) or type(error).__name__, REASON_LENGTH)


async def discover(timeout: float) -> tuple[str, int]:
    """(address, port) of the first phone found within `timeout` seconds. Raises DeviceError."""
    from pupil_labs.realtime_api import discover_devices

    try:
        async for found in discover_devices(timeout):
            if found.addresses and 0 < found.port < 2**16:
                return found.addresses[0], found.port
    except OSError as error:
        raise DeviceError(
            f"no network to search for a phone ({error.strerror}): {ADVICE}"
        ) from None
    raise DeviceError(f"no Neon or Invisible found in {timeout:g} s: {ADVICE}, or give --address")
