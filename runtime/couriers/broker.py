"""Publishes records to an MQTT broker. Needs the extra `mqtt`."""

from __future__ import annotations

import ssl
from contextlib import suppress

from yarl import URL

from runtime.couriers.courier import Parcel, Undelivered
from runtime.errors import RuntimeFault

PATIENCE = 5.0  # seconds of one attempt, at most
KEEP_ALIVE = 20  # seconds after which the broker takes a silent run for dead, at least
TOPIC = "gazeqwen"
PORTS = {"mqtt": 1883, "mqtts": 8883}
AT_LEAST_ONCE = 1  # the quality of service
WRONG_IN_TOPIC = ("+", "#", "\0")


class Broker:
    """A `Carrier`. TOPIC/answer and TOPIC/alert get the record's line of JSON, at least once.

    TOPIC/status is kept by the broker: `online`, and `offline` once the run has ended or died.
    """

    def __init__(self, address: str) -> None:
        """Raises RuntimeFault for an address that is none, or without the extra."""
        try:
            import aiomqtt
        except ImportError as error:
            raise RuntimeFault(
                "--mqtt needs the extra 'mqtt': pip install 'gazeqwen-edge[mqtt]'"
            ) from error
        self._library = aiomqtt
        try:
            self._url = URL(address)
            host, port = self._url.host, self._url.port or PORTS.get(self._url.scheme)
        except ValueError:
            host = port = None
        if not host or port is None or self._url.scheme not in PORTS:
            raise RuntimeFault(
                f"--mqtt {address!r} should read like mqtt://127.0.0.1:1883/{TOPIC}, or mqtts://"
            )
        self._topic = self._url.path.strip("/") or TOPIC
        if any(wrong in self._topic for wrong in WRONG_IN_TOPIC):
            raise RuntimeFault(f"--mqtt: nothing can be published as {self._topic!r}")
        self._host, self._port = host, port
        self.name = f"--mqtt at {host}:{port}"
        self._client: aiomqtt.Client | None = None

    async def open(self) -> None:
        status = f"{self._topic}/status"
        client = self._library.Client(
            self._host,
            self._port,
            username=self._url.user,
            password=self._url.password,
            will=self._library.Will(status, "offline", AT_LEAST_ONCE, retain=True),
            timeout=PATIENCE,
            keepalive=KEEP_ALIVE,
            tls_context=ssl.create_default_context() if self._url.scheme == "mqtts" else None,
        )
        try:
            await client.__aenter__()
        except (self._library.MqttError, OSError) as error:
            raise Undelivered(str(error)) from error
        self._client = client
        await self._publish(status, b"online", retain=True)

    async def carry(self, parcel: Parcel) -> None:
        if self._client is None:
            await self.open()
        await self._publish(f"{self._topic}/{parcel.kind}", parcel.body)

    async def close(self) -> None:
        if self._client is not None:
            with suppress(Undelivered):  # whoever takes leave has no last will
                await self._publish(f"{self._topic}/status", b"offline", retain=True)
            await self._let_go()

    async def _publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        assert self._client is not None
        try:
            await self._client.publish(topic, payload, AT_LEAST_ONCE, retain)
        except (self._library.MqttError, OSError) as error:
            await self._let_go()
            raise Undelivered(str(error)) from error

    async def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(self._library.MqttError, OSError):
                await client.__aexit__(None, None, None)
