"""An emulated phone that lies: at any moment, in any answer, packet, report or status."""

import asyncio
import json
from dataclasses import dataclass, field

from devices.emulator.emulator import Emulator
from devices.emulator.rtsp import RtspServer, Session
from devices.emulator.services import EchoService


@dataclass
class Lies:
    """What the phone says instead of the truth; each may be set while it runs.

    `answer(method, camera, honest)` -> bytes, or None for no answer. `packet(camera, which,
    honest)` -> the packets sent instead (`which`: 0 RTP, 1 RTCP). `http(path, honest)` -> the
    whole response, or an endless iterator of its parts. `delay`: seconds by camera and method.
    """

    answer: object = lambda method, camera, honest: honest
    packet: object = lambda camera, which, honest: [honest]
    http: object = lambda path, honest: honest
    echo: object = lambda honest: honest
    delay: dict = field(default_factory=dict)
    flood: bytes = b""

    def stop(self):
        fresh = Lies()
        for name in ("answer", "packet", "http", "echo", "delay", "flood"):
            setattr(self, name, getattr(fresh, name))


class _LyingSession(Session):
    lies = None

    def send(self, which, data):
        for packet in self.lies.packet(self.camera, which, data):
            super().send(which, packet)


class _LyingServer(RtspServer):
    def __init__(self, phone, draw, lies):
        super().__init__(phone, draw)
        self._lies = lies
        self._tasks = set()

    def _session(self, reader, writer, draw):
        session = _LyingSession(reader, writer, draw)
        session.lies = self._lies
        return session

    def _write(self, session, request, answer):
        answer = self._lies.answer(request.method, session.camera, answer)
        if answer is None:
            return
        task = asyncio.ensure_future(self._send(session, request.method, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, session, method, answer):
        await asyncio.sleep(self._lies.delay.get((session.camera, method), 0.0))
        session.writer.write(answer)
        try:
            while self._lies.flood:
                session.writer.write(self._lies.flood)
                await session.writer.drain()
        except OSError:
            pass


class _LyingEcho(EchoService):
    def __init__(self, phone, lies):
        super().__init__(phone)
        self._lies = lies

    async def _serve(self, reader, writer):
        write = writer.write
        writer.write = lambda answer: write(self._lies.echo(answer))
        await super()._serve(reader, writer)


class _LyingHttp:
    """Takes the place of the emulator's HTTP service, byte by byte."""

    def __init__(self, phone, lies):
        self._phone, self._lies = phone, lies
        self._server = None

    async def start(self):
        ports = self._phone.ports
        self._server = await asyncio.start_server(self._serve, self._phone.address, ports.http)
        ports.http = self._server.sockets[0].getsockname()[1]

    async def close(self):
        self._server.close()

    async def _serve(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            if path == "/api/status":
                body = json.dumps({"message": "ok", "result": self._phone.components()}).encode()
            else:
                body = self._phone.programme.calibration or b""
            said = self._lies.http(path, response(body))
            for part in [said] if isinstance(said, bytes) else said:
                writer.write(part)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class HostilePhone(Emulator):
    """An Emulator with `lies`."""

    def __init__(self, programme, **options):
        super().__init__(programme, **options)
        self.lies = Lies()

    def _services(self, phone, draw):
        lies = self.lies
        return _LyingServer(phone, draw, lies), _LyingEcho(phone, lies), _LyingHttp(phone, lies)


def response(body, status="200 OK", length=None):
    """An HTTP response."""
    length = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}"
    return f"{head}\r\nConnection: close\r\n\r\n".encode() + body


def of_status(change):
    """A lie about the status: `change` takes the list of its components and alters it."""

    def lie(path, honest):
        if path != "/api/status":
            return honest
        said = json.loads(honest.partition(b"\r\n\r\n")[2])
        changed = change(said["result"])
        return response(json.dumps(said if changed is None else changed).encode())

    return lie


def component(components, model, **wanted):
    """The data of the component that has these values."""
    return next(
        c["data"] for c in components if c["model"] == model and wanted.items() <= c["data"].items()
    )


def of_method(method, change, camera=None):
    """A lie in the answers to one method; `change` takes the honest answer."""

    def lie(asked, of, honest):
        return change(honest) if asked == method and camera in (None, of) else honest

    return lie


def with_body(answer, change):
    """An RTSP answer whose body, a text, is changed; its length is right."""
    head, _, body = answer.partition(b"\r\n\r\n")
    body = change(body.decode()).encode()
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    lines.append(b"Content-Length: " + str(len(body)).encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class BitWriter:
    """Writes the fields of a parameter set (ITU-T H.264, 7.2 and 9.1)."""

    def __init__(self):
        self._bits = ""

    def fixed(self, value, count):
        self._bits += f"{value:0{count}b}" if count else ""
        return self

    def unsigned(self, *values):
        for value in values:
            coded = f"{value + 1:b}"
            self._bits += "0" * (len(coded) - 1) + coded
        return self

    def unit(self, header):
        bits = self._bits + "1"
        bits += "0" * (-len(bits) % 8)
        body = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        escaped = bytearray()
        for byte in body:
            if escaped[-2:] == b"\0\0" and byte <= 3:
                escaped.append(3)
            escaped.append(byte)
        return bytes((header,)) + bytes(escaped)


def sequence_parameters(width=160, height=120, log2_frames=4, crop=None, reference_frames=1):
    """A baseline SPS of any size, however absurd; `crop` is (left, right, top, bottom) in units of
    two pixels, None for what the size needs."""
    columns, rows = -(-width // 16), -(-height // 16)
    if crop is None:
        crop = (0, (columns * 16 - width) // 2, 0, (rows * 16 - height) // 2)
    bits = BitWriter().fixed(66, 8).fixed(0, 8).fixed(31, 8)
    bits.unsigned(0, log2_frames - 4, 2, reference_frames).fixed(0, 1)
    bits.unsigned(columns - 1, rows - 1).fixed(1, 1).fixed(1, 1)
    bits.fixed(int(any(crop)), 1)
    if any(crop):
        bits.unsigned(*crop)
    return bits.fixed(0, 1).unit(0x67)
