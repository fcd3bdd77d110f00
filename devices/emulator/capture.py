"""A Pupil Capture on this computer: requests, gaze, fixations and frames as documented."""

from __future__ import annotations

import io
import threading
import time
from types import TracebackType
from typing import Any

import msgpack
import numpy as np
import zmq
from PIL import Image

from devices.clock import NANOSECONDS, Clock, SystemClock

FRAME_RATE, GAZE_RATE = 30, 120
TICK = 0.002


class PupilCapture:
    """Answers at `port` and publishes a moving pattern until it is stopped.

    Sample number i of a stream is captured at `started_at + i / rate` (Unix ns of `clock`); Pupil's
    own clock is behind that by `offset` (ns) and can be set by assigning it. `paused` streams
    ("gaze", "frames") send nothing. `frame_format`: jpeg, bgr, yuv or gray; as it stands, or, if
    `camera_has` lists formats, only while the one of those that was asked for last is listed.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        offset: int = 1_700_000_000 * NANOSECONDS,
        frame_format: str = "jpeg",
        size: tuple[int, int] = (96, 64),
        port: int | None = None,
        camera_has: tuple[str, ...] = (),
    ) -> None:
        """`size` is (width, height); `port` None: any free one."""
        self.clock = clock or SystemClock()
        self.started_at = self.clock.now()
        self.offset = offset
        self.paused: set[str] = set()
        self._format = frame_format
        self._camera_has = camera_has
        self._width, self._height = size
        self._wanted_port = port
        self._stop = threading.Event()
        self._context: zmq.Context | None = None

    def __enter__(self) -> PupilCapture:
        self._context = zmq.Context()
        self._requests = self._bound(zmq.REP, self._wanted_port)
        self._publisher = self._bound(zmq.PUB, None)
        self.port, self._publishing_port = map(_port, (self._requests, self._publisher))
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        for socket in (self._requests, self._publisher):
            socket.close()
        self._context.term()

    def frame(self, index: int) -> np.ndarray:
        """The pixels of a frame before encoding, uint8 RGB."""
        rows, columns = np.mgrid[0 : self._height, 0 : self._width]
        shades = (columns + index * 3, rows + index * 5, columns + rows)
        return (np.stack(shades, axis=-1) % 256).astype(np.uint8)

    def gaze(self, index: int) -> tuple[float, float]:
        """Gaze as a fraction of the frame, origin at the top left."""
        return (index % 100) / 100, (index % 50) / 100

    def _bound(self, kind: int, port: int | None) -> zmq.Socket:
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind(f"tcp://127.0.0.1:{'*' if port is None else port}")
        return socket

    def _run(self) -> None:
        sent = {"gaze": 0, "frames": 0}
        while not self._stop.is_set():
            while self._requests.poll(0):
                self._answer(self._requests.recv_multipart())
            elapsed = self.clock.now() - self.started_at
            for stream, rate in (("gaze", GAZE_RATE), ("frames", FRAME_RATE)):
                while sent[stream] * NANOSECONDS // rate <= elapsed:
                    if stream not in self.paused:
                        self._publish(stream, sent[stream], rate)
                    sent[stream] += 1
            time.sleep(TICK)

    def _pupil_time(self, moment: int) -> float:
        return (moment - self.offset) / NANOSECONDS

    def _answer(self, parts: list[bytes]) -> None:
        if parts == [b"SUB_PORT"]:
            self._requests.send_string(str(self._publishing_port))
        elif parts == [b"t"]:
            self._requests.send_string(repr(self._pupil_time(self.clock.now())))
        elif parts[0].startswith(b"notify."):
            self._hear(msgpack.unpackb(parts[1], raw=False))
            self._requests.send_string("Notification received.")
        else:
            self._requests.send_string("Unknown command.")

    def _hear(self, notification: dict[str, Any]) -> None:
        if self._camera_has and notification["subject"] == "frame_publishing.set_format":
            self._format = notification["format"]

    def _publish(self, stream: str, index: int, rate: int) -> None:
        seconds = self._pupil_time(self.started_at + index * NANOSECONDS // rate)
        if stream == "frames":
            if not self._camera_has or self._format in self._camera_has:
                self._send("frame.world", *self._frame_message(index, seconds))
            return
        x, y = self.gaze(index)
        message = {"norm_pos": [x, 1.0 - y], "confidence": 0.9, "timestamp": seconds}
        self._send("gaze.3d.01.", message)
        if index % GAZE_RATE == GAZE_RATE // 2:
            duration = 200.0
            fixation = message | {"timestamp": seconds - duration / 1000, "duration": duration}
            self._send("fixations", fixation | {"id": index, "dispersion": 1.0})

    def _frame_message(self, index: int, seconds: float) -> tuple[dict[str, Any], bytes]:
        pixels = self.frame(index)
        data = {
            "bgr": lambda: pixels[..., ::-1],
            "gray": lambda: pixels[..., 0],
            "yuv": lambda: _planes(pixels),
        }.get(self._format, lambda: None)()
        message = {
            "width": self._width,
            "height": self._height,
            "index": index,
            "timestamp": seconds,
            "format": self._format,
        }
        return message, _jpeg(pixels) if data is None else data.tobytes()

    def _send(self, topic: str, message: dict[str, Any], data: bytes | None = None) -> None:
        parts = [topic.encode(), msgpack.packb(message | {"topic": topic}, use_bin_type=True)]
        self._publisher.send_multipart(parts if data is None else [*parts, data])


def _port(socket: zmq.Socket) -> int:
    return int(socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])


def _jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _planes(pixels: np.ndarray) -> np.ndarray:
    """Y, U and V one after the other, full range (JFIF), two pixels across sharing a colour."""
    red, green, blue = np.moveaxis(pixels.astype(np.float64), -1, 0)
    brightness = 0.299 * red + 0.587 * green + 0.114 * blue
    colours = (blue - brightness) / 1.772 + 128, (red - brightness) / 1.402 + 128
    halves = [(colour[:, 0::2] + colour[:, 1::2]) / 2 for colour in colours]
    planes = [plane.ravel() for plane in (brightness, *halves)]
    return np.concatenate(planes).round().clip(0, 255).astype(np.uint8)
