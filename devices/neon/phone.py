"""The phone's HTTP side, through the client library: finding it, its status, its calibration.

The library is imported only when a phone is used: that takes seconds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devices.device import DeviceError
from devices.neon.undistortion import Lens

if TYPE_CHECKING:
    from pupil_labs.realtime_api import Device as ClientDevice
    from pupil_labs.realtime_api.models import Status

STATUS_TIMEOUT = 1.0
ADVICE = (
    "check that phone and computer are on the same Wi-Fi, that the IP address is right, that the "
    "Companion app is open, and that no firewall blocks it"
)


class PhoneSilent(Exception):
    """The phone does not answer, or not sensibly. The message says how in a few words."""


@dataclass(frozen=True, slots=True)
class PhoneStatus:
    """What the phone says of itself.

    `hardware` is "1" for Invisible, "2" for Neon; `urls` holds the connected cameras;
    `echo_port` is None where the phone has no time echo.
    """

    name: str
    battery_level: int
    battery_state: str
    hardware: str
    echo_port: int | None
    urls: Mapping[str, str]


class Phone:
    """One phone at `address` and `port`; its methods run in the device's event loop."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self._client: ClientDevice | None = None

    async def status(self, timeout: float = STATUS_TIMEOUT) -> PhoneStatus:
        """Ask for the present status. Raises PhoneSilent."""
        try:
            async with asyncio.timeout(timeout):
                return _read(await self._device().get_status())
        except TimeoutError as error:
            raise PhoneSilent("no answer in time") from error
        except Exception as error:
            # The library lets through whatever its HTTP client and its own parsing raise.
            raise PhoneSilent(_reason(error)) from error

    async def lens(self) -> Lens:
        """The scene camera's calibration. Raises PhoneSilent."""
        try:
            async with asyncio.timeout(STATUS_TIMEOUT):
                calibration = await self._device().get_calibration()
            return Lens.from_calibration(
                calibration.scene_camera_matrix, calibration.scene_distortion_coefficients
            )
        except Exception as error:
            raise PhoneSilent(_reason(error)) from error

    async def close(self) -> None:
        """Free the connection."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _device(self) -> ClientDevice:
        if self._client is None:
            from pupil_labs.realtime_api import Device as ClientDevice

            self._client = ClientDevice(self.address, self.port)
        return self._client


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return (str(error) or type(error).__name__).splitlines()[0]


def _read(status: Status) -> PhoneStatus:
    return PhoneStatus(
        name=status.phone.device_name,
        battery_level=status.phone.battery_level,
        battery_state=status.phone.battery_state,
        hardware=status.hardware.version,
        echo_port=status.phone.time_echo_port,
        urls={
            sensor.sensor: sensor.url
            for sensor in status.sensors
            if sensor.conn_type == "DIRECT" and sensor.connected
        },
    )


async def discover(timeout: float) -> tuple[str, int]:
    """(address, port) of the first phone found within `timeout` seconds. Raises DeviceError."""
    from pupil_labs.realtime_api import discover_devices

    try:
        async for found in discover_devices(timeout):
            return found.addresses[0], found.port
    except OSError as error:
        raise DeviceError(
            f"no network to search for a phone ({error.strerror}): {ADVICE}"
        ) from None
    raise DeviceError(f"no Neon or Invisible found in {timeout:g} s: {ADVICE}, or give --address")
