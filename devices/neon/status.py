"""What the phone says of itself at `/api/status`, every field within bounds.

The client library takes any JSON for a status; here a part that no stream depends on (name,
battery, time echo) is unknown where it makes no sense, and everything else must make sense.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from devices.printable import printable

MOST_STATUS = 2**20
"""Bytes; a real status has two thousand."""
MOST_COMPONENTS = 1000
NAME_LENGTH, STATE_LENGTH = 60, 20
_PARAMETERS = re.compile(r"[A-Za-z0-9=&_.-]{0,200}")


class MalformedStatus(ValueError):
    """A status that makes no sense. The message says why in a few words."""


@dataclass(frozen=True, slots=True)
class PhoneStatus:
    """What the phone says of itself; its texts are printable.

    `battery_level` in per cent; `hardware` is "1" for Invisible, "2" for Neon; `urls` holds the
    connected cameras; `echo_port` is None where the phone has no time echo. Unknown is None.
    """

    name: str
    battery_level: int | None
    battery_state: str | None
    hardware: str
    echo_port: int | None
    urls: Mapping[str, str]


class _Component(msgspec.Struct):
    model: str
    data: Any = None


class _Envelope(msgspec.Struct):
    result: list[_Component]


class _Phone(msgspec.Struct):
    device_name: Any = None
    battery_level: Any = None
    battery_state: Any = None
    time_echo_port: Any = None


class _Hardware(msgspec.Struct):
    version: str = "unknown"


class _Sensor(msgspec.Struct):
    sensor: str
    conn_type: str
    connected: bool = False
    ip: str | None = None
    port: int | None = None
    params: str | None = None
    protocol: str = "rtsp"


def parse_status(body: bytes) -> PhoneStatus:
    """Read the phone's answer. Raises MalformedStatus."""
    if len(body) > MOST_STATUS:
        raise MalformedStatus(f"more than {MOST_STATUS} bytes")
    try:
        # Unlike msgspec's own, this parser takes half of a character that a name was cut in.
        components = msgspec.convert(json.loads(body), _Envelope).result
        if len(components) > MOST_COMPONENTS:
            raise MalformedStatus(f"{len(components)} components")
        phones = _of("Phone", _Phone, components)
        hardware = _of("Hardware", _Hardware, components)
        sensors = _of("Sensor", _Sensor, components)
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        raise MalformedStatus(printable(str(error), 100)) from error
    if not phones:
        raise MalformedStatus("it speaks of no phone")
    phone = phones[-1]
    return PhoneStatus(
        name=_text(phone.device_name, NAME_LENGTH) or "unnamed",
        battery_level=_whole(phone.battery_level, 0, 100),
        battery_state=_text(phone.battery_state, STATE_LENGTH),
        hardware=printable(hardware[-1].version, STATE_LENGTH) if hardware else "unknown",
        echo_port=_whole(phone.time_echo_port, 1, 2**16 - 1),
        urls={
            sensor.sensor: _url(sensor)
            for sensor in sensors
            if sensor.conn_type == "DIRECT" and sensor.connected
        },
    )


def _of(model: str, kind: type[Any], components: list[_Component]) -> list[Any]:
    return [msgspec.convert(c.data, kind) for c in components if c.model == model]


def _url(sensor: _Sensor) -> str:
    """Where a sensor's stream is. Raises MalformedStatus."""
    noun = printable(sensor.sensor, STATE_LENGTH)
    try:
        address = ipaddress.ip_address(sensor.ip or "")
    except ValueError:
        raise MalformedStatus(f"no valid IP address of the sensor {noun}") from None
    if sensor.port is None or not 0 < sensor.port < 2**16:
        raise MalformedStatus(f"port {sensor.port} of the sensor {noun}")
    if sensor.protocol != "rtsp" or not _PARAMETERS.fullmatch(sensor.params or ""):
        raise MalformedStatus(f"no valid stream of the sensor {noun}")
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"rtsp://{host}:{sensor.port}/?{sensor.params or ''}"


def _text(value: object, limit: int) -> str | None:
    return printable(value, limit) or None if isinstance(value, str) else None


def _whole(value: object, least: int, most: int) -> int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return round(value) if is_number and least <= value <= most else None
