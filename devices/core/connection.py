"""Requests to and subscriptions of Pupil Capture, each with a bound on waiting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgpack
import zmq

from devices.address import in_url
from devices.clock import NANOSECONDS, Clock
from devices.core.messages import LATEST_SECONDS, PupilClock
from devices.messagepack.packed import unpacked
from devices.printable import printable

TIME_REPEATS = 8
MOST_ANSWER = 2**16
"""Bytes of an answer; ZeroMQ leaves a peer that sends more."""
SHOWN = 60
"""Characters of a strange answer that are shown."""


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
        self._socket.setsockopt(zmq.MAXMSGSIZE, MOST_ANSWER)
        _connect(self._socket, address, port)

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
            raise CaptureSilent(printable(str(error), SHOWN)) from error

    def notify(self, notification: Mapping[str, Any]) -> None:
        """Send a notification. Raises CaptureSilent."""
        try:
            topic = f"notify.{notification['subject']}"
            self._socket.send_string(topic, flags=zmq.SNDMORE)
            self._socket.send(msgpack.packb(dict(notification), use_bin_type=True))
            self._socket.recv()
        except zmq.ZMQError as error:
            raise CaptureSilent("no answer in time") from error

    def subscription_port(self) -> int:
        """Where Capture publishes. Raises CaptureSilent."""
        answer = self.ask("SUB_PORT")
        if not (answer.isascii() and answer.isdecimal() and 0 < int(answer[:6]) < 2**16):
            raise CaptureSilent(f"it answers '{printable(answer, SHOWN)}' instead of a port")
        return int(answer[:6])

    def clock(self, clock: Clock) -> PupilClock:
        """Pupil's clock, by the fastest of several answers. Raises CaptureSilent."""
        best: tuple[int, int] | None = None
        for _ in range(TIME_REPEATS):
            sent_at = clock.now()
            answer = self.ask("t")
            received_at = clock.now()
            pupil = round(_seconds(answer) * NANOSECONDS)
            delay = received_at - sent_at
            if best is None or delay < best[0]:
                best = delay, sent_at + delay // 2 - pupil
        return PupilClock(best[1])


def _seconds(answer: str) -> float:
    try:
        seconds = float(answer)
    except ValueError:
        seconds = float("nan")
    if not abs(seconds) <= LATEST_SECONDS:
        raise CaptureSilent(f"it answers '{printable(answer, SHOWN)}' instead of a time")
    return seconds


def _connect(socket: zmq.Socket, address: str, port: int) -> None:
    try:
        socket.connect(f"tcp://{in_url(address)}:{port}")
    except zmq.ZMQError as error:
        socket.close()
        raise CaptureSilent(printable(str(error), SHOWN)) from error


class Subscription:
    """Some of Capture's topics. Used from one thread at a time."""

    def __init__(
        self,
        context: zmq.Context,
        address: str,
        port: int,
        topics: tuple[str, ...],
        limit: int,
        size: int,
    ) -> None:
        """`limit`: messages that wait; ZeroMQ drops what comes beyond. `size`: bytes of a part of a
        message; ZeroMQ leaves a peer that sends more.
        """
        self._limit = limit
        self._socket = context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.IPV6, 1)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, limit)
        self._socket.setsockopt(zmq.MAXMSGSIZE, size)
        for topic in topics:
            self._socket.setsockopt_string(zmq.SUBSCRIBE, topic)
        _connect(self._socket, address, port)

    def close(self) -> None:
        self._socket.close()

    def wait(self, seconds: float) -> bool:
        """Whether a message is there within that time."""
        return bool(self._socket.poll(round(seconds * 1000)))

    def messages(self) -> Iterator[tuple[str, Mapping[str, Any], bytes]]:
        """(topic, dictionary, attached bytes) of the messages that wait, at most `limit` of them.

        The dictionary is empty where it can not be read.
        """
        for _ in range(self._limit):
            if not self._socket.poll(0):
                return
            topic, *rest = self._socket.recv_multipart()
            data = rest[1] if rest[1:] else b""
            yield topic.decode("utf-8", "replace"), dictionary(rest[0] if rest else b""), data


def dictionary(data: bytes) -> Mapping[str, Any]:
    """The dictionary of a message; empty where it can't be read."""
    try:
        message = unpacked(data, raw=False)
    except Exception:
        # The library answers damaged data with errors of many kinds.
        return {}
    return message if isinstance(message, dict) else {}
