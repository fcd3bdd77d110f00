"""The phone's RTSP server: sessions over UDP, and over TCP with interleaved packets (RFC 2326)."""

from __future__ import annotations

import asyncio
import base64
import random
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlparse

from devices.emulator.broadcast import PAYLOAD_TYPES, Broadcast
from devices.emulator.phone import CAMERAS, Phone
from devices.emulator.programmes.programme import SoundTrack
from devices.neon import wire
from devices.neon.sound.units import ENCODING, LAYOUT

BACKLOG_LIMIT = 4 * 2**20
"""Bytes that wait for a client over TCP; beyond that its packets are thrown away."""
SOUND_TRACK = "trackID=1"
ERROR_LINE = b"RTSP/1.0 400 Bad Request\r\n\r\n"
ENCODINGS = {
    "world": "H264",
    "gaze": "com.pupillabs.gaze1",
    "eye_events": "com.pupillabs.eye_events1",
}


@dataclass(slots=True)
class Request:
    """One RTSP request."""

    method: str
    url: str
    headers: Mapping[str, str]


@dataclass(slots=True, eq=False)
class Session:
    """One client's connection: the camera it asked for, which medium of it was set up, and how
    packets reach it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    draw: random.Random
    camera: str = "world"
    medium: str = "world"
    channels: tuple[int, int] | None = None
    sockets: list[socket.socket] = field(default_factory=list)
    destination: tuple[int, int] = (0, 0)
    task: asyncio.Task[None] | None = None

    def send(self, which: int, data: bytes) -> None:
        """Send RTP (`which` 0) or RTCP (1) to the client; lost if the network takes no more."""
        if self.channels is not None:
            transport = self.writer.transport
            if not transport.is_closing() and transport.get_write_buffer_size() < BACKLOG_LIMIT:
                header = bytes((0x24, self.channels[which])) + len(data).to_bytes(2, "big")
                transport.write(header + data)
            return
        if self.sockets:
            host = self.writer.get_extra_info("peername")[0]
            with suppress(OSError):
                self.sockets[which].sendto(data, (host, self.destination[which]))

    def stop(self) -> None:
        """End the stream and close its sockets; the connection stays."""
        if self.task is not None:
            self.task.cancel()
            self.task = None
        while self.sockets:
            self.sockets.pop().close()


class RtspServer:
    """Serves every camera of a phone."""

    def __init__(self, phone: Phone, draw: random.Random) -> None:
        self._phone = phone
        self._draw = draw
        self._sessions: set[Session] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; the port goes into the phone's `ports`."""
        ports = self._phone.ports
        self._server = await asyncio.start_server(self._serve, self._phone.address, ports.rtsp)
        ports.rtsp = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self.reset()
            await asyncio.sleep(0)

    def reset(self) -> None:
        """Cut every connection, as a lost network would."""
        for session in self._sessions:
            session.stop()
            session.writer.transport.abort()

    def _session(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, draw: random.Random
    ) -> Session:
        return Session(reader, writer, draw)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = self._session(reader, writer, random.Random(self._draw.getrandbits(32)))
        self._sessions.add(session)
        try:
            while True:
                await self._answer_next(session)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
            pass
        finally:
            self._sessions.discard(session)
            session.stop()
            writer.close()

    async def _answer_next(self, session: Session) -> None:
        first = await session.reader.readexactly(1)
        if first == b"$":
            await self._swallow_report(session)
            return
        head = first + await session.reader.readuntil(b"\r\n\r\n")
        request = _parse(head.decode("latin-1"))
        if not self._phone.fault("half-open"):
            self._answer(session, request)

    async def _swallow_report(self, session: Session) -> None:
        """Take an interleaved receiver report; Companion 2.9.31 answers it with an error line."""
        header = await session.reader.readexactly(3)
        await session.reader.readexactly(int.from_bytes(header[1:], "big"))
        if self._phone.fault("companion"):
            session.writer.write(ERROR_LINE)

    def _answer(self, session: Session, request: Request) -> None:
        camera = parse_qs(urlparse(request.url).query).get("camera", [session.camera])[0]
        if camera not in CAMERAS:
            self._reply(session, request, status="404 Not Found")
            return
        session.camera = camera
        match request.method:
            case "OPTIONS":
                methods = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
                self._reply(session, request, {"Public": methods})
            case "DESCRIBE":
                self._describe(session, request)
            case "SETUP":
                self._set_up(session, request)
            case "PLAY":
                self._play(session, request)
            case "TEARDOWN":
                session.stop()
                self._reply(session, request, {"Session": "1"})
            case "GET_PARAMETER":
                self._reply(session, request, {"Session": "1"})
            case _:
                self._reply(session, request, status="501 Not Implemented")

    def _describe(self, session: Session, request: Request) -> None:
        phone = self._phone
        headers = {
            "Content-Type": "application/sdp",
            "Content-Base": f"rtsp://{phone.address}:{phone.ports.rtsp}/",
        }
        self._reply(session, request, headers, description(phone, session.camera))

    def _set_up(self, session: Session, request: Request) -> None:
        is_sound = SOUND_TRACK in request.url and session.camera == "world"
        session.medium = "sound" if is_sound else session.camera
        asked = request.headers.get("transport", "")
        fields = dict(part.partition("=")[::2] for part in asked.split(";"))
        answer = asked
        if "interleaved" in fields:
            session.channels = _two_numbers(fields["interleaved"], 255)
            if self._phone.fault("companion"):
                answer = "RTP/AVP/TCP;unicast"
        elif "client_port" in fields:
            session.destination = _two_numbers(fields["client_port"], 65535)
            session.sockets = [_udp_socket(self._phone.address) for _ in range(2)]
            ports = "-".join(str(udp.getsockname()[1]) for udp in session.sockets)
            answer = f"{asked};server_port={ports}"
        else:
            self._reply(session, request, status="461 Unsupported Transport")
            return
        self._reply(session, request, {"Transport": answer, "Session": "1;timeout=60"})

    def _play(self, session: Session, request: Request) -> None:
        if session.channels is None and not session.sockets:
            self._reply(session, request, status="455 Method Not Valid in This State")
            return
        self._reply(session, request, {"Session": "1", "Range": "npt=now-"})
        broadcast = Broadcast(
            self._phone,
            session.medium,
            lambda data: session.send(0, data),
            lambda data: session.send(1, data),
            ordered=session.channels is not None,
            draw=session.draw,
        )
        session.task = asyncio.get_running_loop().create_task(broadcast.run())

    def _reply(
        self,
        session: Session,
        request: Request,
        headers: Mapping[str, str] | None = None,
        body: str = "",
        status: str = "200 OK",
    ) -> None:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {request.headers.get('cseq', '0')}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body:
            lines.append(f"Content-Length: {len(body.encode())}")
        self._write(session, request, ("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def _write(self, session: Session, request: Request, answer: bytes) -> None:
        session.writer.write(answer)


def description(phone: Phone, camera: str) -> str:
    """The session description (SDP, RFC 4566) of a camera."""
    kind = PAYLOAD_TYPES[camera]
    lines = [
        "v=0",
        f"o=- 0 0 IN IP4 {phone.address}",
        f"s={camera}",
        f"c=IN IP4 {phone.address}",
        "t=0 0",
        f"m={'video' if camera == 'world' else 'application'} 0 RTP/AVP {kind}",
        f"a=rtpmap:{kind} {ENCODINGS[camera]}/{wire.MEDIA_CLOCK}",
    ]
    if camera == "world":
        sets = ",".join(base64.b64encode(unit).decode() for unit in phone.programme.parameters)
        lines.append(f"a=fmtp:{kind} packetization-mode=1;sprop-parameter-sets={sets}")
    lines.append("a=control:trackID=0")
    if camera == "world" and phone.programme.sound is not None:
        lines += sound_lines(phone.programme.sound)
    return "\r\n".join(lines) + "\r\n"


def sound_lines(sound: SoundTrack) -> list[str]:
    """What a description says of the microphone (RFC 3640)."""
    kind = PAYLOAD_TYPES["sound"]
    layout = ";".join(f"{name}={bits}" for name, bits in LAYOUT.items())
    return [
        f"m=audio 0 RTP/AVP {kind}",
        f"a=rtpmap:{kind} {ENCODING}/{sound.rate}/1",
        f"a=fmtp:{kind} streamtype=5;mode=AAC-hbr;config={sound.config.hex()};{layout}",
        f"a=control:{SOUND_TRACK}",
    ]


def _parse(head: str) -> Request:
    first, *rest = head.strip().split("\r\n")
    method, url, _ = first.split(" ", 2)
    pairs = (line.partition(":")[::2] for line in rest)
    return Request(method, url, {name.strip().lower(): value.strip() for name, value in pairs})


def _two_numbers(text: str, most: int) -> tuple[int, int]:
    """Read "N-N". Raises ValueError."""
    first, second = (int(part) for part in text.split("-"))
    if not (0 <= first <= most and 0 <= second <= most):
        raise ValueError(f"{text}: at most {most}")
    return first, second


def _udp_socket(address: str) -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setblocking(False)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BACKLOG_LIMIT)
    udp.bind((address, 0))
    return udp
