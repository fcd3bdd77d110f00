"""Requests to and subscriptions of Pupil Capture, each with a bound on waiting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgpack
import zmq

from devices.address import in_url
from devices.clock import NANOSECONDS, Clock
from devices.core.messages import PupilClock

TIME_REPEATS = 8


class CaptureSilent(Exception):
    """Pupil Capture does not answer, or not sensibly. The message says how in a few words."""


class Requests:
    """Capture's request port. Used from one thread at a time."""

    def __init__(self, context: zmq.Context, address: str, port: int, timeout: float) -> None:
        """`timeout` in seconds, for each request."""
        self._socket = context.socket(zmq.REQ)
        self._socket.setsockopt(zmq.IPV6, 1)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVTIMEO, round(timeout * 1000))
        self._socket.setsockopt(zmq.SNDTIMEO, round(timeout * 1000))
        self._socket.connect(f"tcp://{in_url(address)}:{port}")

    def close(self) -> None:
        self._socket.close()

    def ask(self, question: str) -> str:
        """Send a command and return the answer. Raises CaptureSilent."""
        try:
            self._socket.send_string(question)
            return self._socket.recv_string()
        except zmq.Again as error:
            raise CaptureSilent("no answer in time") from error
        except (zmq.ZMQError, UnicodeDecodeError) as error:
            raise CaptureSilent(str(error)) from error

    def notify(self, notification: Mapping[str, Any]) -> None:
        """Send a notification. Raises CaptureSilent."""
        try:
            topic = f"notify.{notification['subject']}"
            self._socket.send_string(topic, flags=zmq.SNDMORE)
            self._socket.send(msgpack.packb(dict(notification), use_bin_type=True))
            self._socket.recv_string()
        except zmq.ZMQError as error:
            raise CaptureSilent("no answer in time") from error

    def subscription_port(self) -> int:
        """Where Capture publishes. Raises CaptureSilent."""
        answer = self.ask("SUB_PORT")
        if not answer.isdecimal():
            raise CaptureSilent(f"it answers {answer!r} instead of a port")
        return int(answer)

    def clock(self, clock: Clock) -> PupilClock:
        """Pupil's clock, by the fastest of several answers. Raises CaptureSilent."""
        best: tuple[int, int] | None = None
        for _ in range(TIME_REPEATS):
            sent_at = clock.now()
            answer = self.ask("t")
            received_at = clock.now()
            try:
                pupil = round(float(answer) * NANOSECONDS)
            except ValueError as error:
                raise CaptureSilent(f"it answers {answer!r} instead of a time") from error
            delay = received_at - sent_at
            if best is None or delay < best[0]:
                best = delay, sent_at + delay // 2 - pupil
        return PupilClock(best[1])


class Subscription:
    """Some of Capture's topics. Used from one thread at a time."""

    def __init__(
        self, context: zmq.Context, address: str, port: int, topics: tuple[str, ...], limit: int
    ) -> None:
        """`limit`: messages that wait; ZeroMQ drops what comes beyond."""
        self._socket = context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.IPV6, 1)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, limit)
        for topic in topics:
            self._socket.setsockopt_string(zmq.SUBSCRIBE, topic)
        self._socket.connect(f"tcp://{in_url(address)}:{port}")

    def close(self) -> None:
        self._socket.close()

    def wait(self, seconds: float) -> bool:
        """Whether a message is there within that time."""
        return bool(self._socket.poll(round(seconds * 1000)))

    def messages(self) -> Iterator[tuple[str, Mapping[str, Any], bytes]]:
        """(topic, dictionary, attached bytes) of every message that waits.

        The dictionary is empty where it can not be read.
        """
        while self._socket.poll(0):
            topic, *rest = self._socket.recv_multipart()
            yield topic.decode("utf-8", "replace"), _unpacked(rest), rest[1] if rest[1:] else b""


def _unpacked(parts: list[bytes]) -> Mapping[str, Any]:
    """The dictionary of a message; empty where it can't be read."""
    try:
        message = msgpack.unpackb(parts[0], raw=False) if parts else {}
    except (ValueError, msgpack.UnpackException):
        message = {}
    return message if isinstance(message, dict) else {}
