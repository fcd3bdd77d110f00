"""What is fuzzed: each parser of bytes from outside, good examples, and what it may raise."""

import json
import struct
import zlib
from dataclasses import dataclass

import msgpack
import numpy as np
from harmless import is_line
from hostile_phone import sequence_parameters

from devices.bounds import fault
from devices.clock import SimulatedClock
from devices.core import messages
from devices.core.connection import dictionary
from devices.emulator.broadcast import fragments
from devices.emulator.faults import FaultPlan
from devices.emulator.phone import Phone, Ports, Settings
from devices.emulator.programmes.drawn import draw_test_card
from devices.emulator.rtsp import description
from devices.mailbox import Mailbox
from devices.neon import wire
from devices.neon.phone import PhoneConfused, parse_calibration
from devices.neon.rtsp.answers import MOST_BODY, MOST_HEAD, MalformedAnswer, parse_head
from devices.neon.rtsp.description import Description, MalformedDescription, parse_description
from devices.neon.rtsp.interleaved import InterleavedParser
from devices.neon.status import MalformedStatus, parse_status
from devices.neon.streams import EventStream, GazeStream
from devices.neon.timing import ClockOffset, EchoFailed, phone_time
from devices.neon.video.bitstream import MOST_PIXELS, parameter_sets
from devices.neon.video.decoding import CorruptPicture, Decoder
from devices.neon.wire import MalformedPacket, RtpPacket, SenderReport
from devices.neon.world import WorldStream

NOW = 1_700_000_000 * 10**9
CARD = draw_test_card(seconds=0.3, key_frame_spacing=6)
SETS = parameter_sets(CARD.parameters)
PHONE = Phone(
    CARD, SimulatedClock(NOW), NOW, FaultPlan(), Settings(), "127.0.0.1", Ports(8080, 8086, 12321)
)
REPORT = SenderReport(7, NOW, 1000, 5, 600)


@dataclass(frozen=True)
class Parser:
    """`read` takes bytes and checks what it returns; `own` is what it may raise. `cost`: how many
    cases of another take as long as one of its."""

    read: object
    own: tuple
    corpus: list
    cost: int = 1

    def accepts(self, data):
        try:
            self.read(data)
        except self.own:
            return False
        return True


def answer(body=b"", **fields):
    lines = [b"RTSP/1.0 200 OK", b"CSeq: 3"]
    lines += [f"{name}: {value}".encode() for name, value in fields.items()]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def read_stream(data):
    parser = InterleavedParser()
    for start in range(0, len(data), 1021):
        for message in parser.parse(data[start : start + 1021]):
            assert message is not None
        assert len(parser._buffer) <= MOST_HEAD + MOST_BODY + 2**16 + 1021


def read_head(data):
    assert 0 <= parse_head(data).length <= MOST_BODY


def read_description(data):
    found = parse_description(data.decode("utf-8", "replace"))
    assert 0 < found.rate <= 10**7 and 0 <= found.payload_type < 128
    assert all(found.parameters) and len(found.parameters) <= 32


def read_sets(data):
    found = parameter_sets([each for each in data.split(wire.START_CODE) if each])
    width, height = found.size
    assert 0 < width * height <= MOST_PIXELS and found.stream.frame_numbers <= 2**16


def read_gaze(data):
    gaze = wire.parse_gaze(data)
    assert abs(gaze.x) <= wire.FARTHEST and abs(gaze.y) <= wire.FARTHEST


def read_event(data):
    event = wire.parse_event(data)
    assert event.started is None or 0 < event.started < wire.LATEST
    assert event.ended is None or event.started <= event.ended < wire.LATEST
    assert event.centre is None or np.isfinite(event.centre).all()


def read_report(data):
    report = wire.parse_sender_report(data)
    assert report is None or 0 < report.moment < 2**63


def read_status(data):
    status = parse_status(data)
    assert is_line(status.name) and len(status.name) <= 60
    assert status.battery_level is None or 0 <= status.battery_level <= 100
    assert all(url.isascii() and url.isprintable() for url in status.urls.values())


def read_calibration(data):
    data = data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")
    lens = parse_calibration(data)
    for point in ((0.0, 0.0), (800.0, 600.0), (1e5, -1e5)):
        assert not any(np.isnan(lens.undistorted(*point)))


def read_core(data):
    message = dictionary(data)
    at = messages.PupilClock(NOW).date(messages.pupil_seconds(message), NOW)
    if at is None:
        raise messages.BadMessage("undated")
    for read in (messages.gaze_sample, messages.fixation):
        assert fault(read(message, at, NOW)) is None


def read_core_frame(data):
    said, _, pixels = data.partition(b"\0\0pixels")
    found = messages.pixels(dictionary(said), pixels)
    assert found.dtype == np.uint8 and found.shape[2] == 3


class _Video:
    """Counts pictures as the decoding thread does."""

    def __init__(self, mailbox):
        self._mailbox = mailbox

    def begin_stream(self):
        """Nothing is decoded."""

    def take(self, picture, captured_at):
        self._mailbox.receive("frames")
        self._mailbox.drop("frames", "fuzzed", captured_at)


def read_streams(data):
    """Datagrams, each after its length, to the three streams in turn: none may fail, and what they
    hand in must be samples that can be."""
    mailbox, clock = Mailbox(), SimulatedClock(NOW)
    parts = (mailbox, clock, lambda: None)
    world = WorldStream(*parts, _Video(mailbox))
    gaze = GazeStream(*parts, world, None)
    streams = (world, gaze, EventStream(*parts, gaze))
    for stream, kind in zip(streams, (96, 99, 101), strict=True):
        stream.begin(Description(90_000, kind, CARD.parameters if kind == 96 else ()))
        stream.set_offset(ClockOffset(0, NOW))
        stream.on_report(REPORT.packed())
    start = number = 0
    while start < len(data):
        which = data[start]
        begin = start + 3
        start = begin + max(8, int.from_bytes(data[start + 1 : begin], "big") % 1500)
        take = streams[which % 3].on_report if which & 4 else streams[which % 3].on_packet
        take(data[begin:start])
        clock.sleep_until(NOW + (number := number + 1) * 10**6)
    for stream in streams:
        stream.close()
        assert stream._faults.total == 0, stream._faults._told_at
    delivered = mailbox.collect().samples
    assert all(fault(sample) is None for sample in delivered)
    mailbox.close()  # a warning, and so an error, where the accounts do not add up
    counts = mailbox.counts()
    for each in (counts.frames, counts.gaze):
        assert "unaccounted for" not in each.dropped


def read_pictures(data):
    Decoder(SETS.units).decode(data)


def datagrams(*sent):
    return b"".join(bytes((which,)) + len(each).to_bytes(2, "big") + each for which, each in sent)


def rtp(kind, sequence, payload, marker=False, stamp=1000):
    return RtpPacket(kind, sequence, stamp, 7, marker, payload).packed()


SDP = description(PHONE, "world").encode()
PAYLOADS = [p for picture in CARD.pictures[:3] for u in picture.units for p in fragments(u)]
GAZE = [wire.pack_gaze(80.0, 60.0, True, size) for size in wire.GAZE_SIZES]
EVENTS = [
    wire.MOVEMENT.pack(kind, NOW - 9, NOW - 5, *([40.0] * 10)) for kind in (0, 1)
] + [
    wire.ONSET.pack(3, NOW), wire.SPAN.pack(4, NOW - 9, NOW), wire.EVENT_TYPE.pack(5)
]  # fmt: skip
AGGREGATE = b"\x18" + b"".join(len(u).to_bytes(2, "big") + u for u in CARD.parameters)
STREAMS = [
    datagrams(*((0, rtp(96, i, p, i % 2 == 0)) for i, p in enumerate([AGGREGATE, *PAYLOADS]))),
    datagrams(*((1, rtp(99, i, p, True)) for i, p in enumerate(GAZE)), (5, REPORT.packed())),
    datagrams(*((2, rtp(101, i, p, True)) for i, p in enumerate(EVENTS)), (4, REPORT.packed())),
]
CALIBRATION = struct.pack(
    "<B6s9d8d16d", 1, b"000000", 890, 0, 800, 0, 890, 600, 0, 0, 1, *([0.01] * 8), *([0.5] * 16)
).ljust(799, b"\0") + bytes(4)
DATUM = {
    "topic": "gaze.3d.0.", "norm_pos": [0.5, 0.25], "confidence": 0.9, "timestamp": 0.0,
    "duration": 120.0,
}  # fmt: skip
FRAME = {"width": 4, "height": 3, "format": "bgr", "timestamp": 0.0}
SIZES = ((160, 120), (1600, 1200), (1088, 1080))


def _jpeg():
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(buffer, "JPEG")
    return msgpack.packb(FRAME | {"format": "jpeg"}) + b"\0\0pixels" + buffer.getvalue()


PARSERS = {
    "rtsp": Parser(
        read_stream,
        (),
        [answer(SDP, Session="1;timeout=60") + b"$\0\0\x10" + bytes((128,)) * 16 + answer() * 3],
    ),
    "head": Parser(
        read_head, (MalformedAnswer,), [answer(Public="OPTIONS"), answer(Session="1;timeout=60")]
    ),
    "sdp": Parser(read_description, (MalformedDescription,), [SDP]),
    "rtp": Parser(
        wire.parse_rtp,
        (MalformedPacket,),
        [rtp(96, 3, PAYLOADS[0][:60]), bytes((0xB3,)) + rtp(99, 4, GAZE[0])[1:] + bytes(40)],
    ),
    "rtcp": Parser(read_report, (MalformedPacket,), [b"\x80\xca\0\1abcd" + REPORT.packed()] * 2),
    "status": Parser(
        read_status, (MalformedStatus,), [json.dumps({"result": PHONE.components()}).encode()]
    ),
    "gaze": Parser(read_gaze, (MalformedPacket,), GAZE),
    "events": Parser(read_event, (MalformedPacket,), EVENTS),
    "sps": Parser(
        read_sets,
        (MalformedPacket,),
        [wire.START_CODE.join((sequence_parameters(*s), CARD.parameters[1])) for s in SIZES]
        + [bytes.fromhex("6764001facd940500 5bb016a02020280000003".replace(" ", ""))],
    ),
    "calibration": Parser(read_calibration, (PhoneConfused,), [CALIBRATION], cost=20),
    "echo": Parser(lambda d: phone_time(d[:16].ljust(16, b"\0")), (EchoFailed,), [bytes(16)]),
    "core": Parser(read_core, (messages.BadMessage,), [msgpack.packb(DATUM)]),
    "core frames": Parser(
        read_core_frame,
        (messages.BadMessage,),
        [msgpack.packb(FRAME) + b"\0\0pixels" + bytes(36), _jpeg()],
    ),
    "streams": Parser(read_streams, (), STREAMS, cost=10),
    "pictures": Parser(
        read_pictures,
        (CorruptPicture,),
        [b"".join(wire.START_CODE + unit for unit in CARD.pictures[0].units)],
        cost=20,
    ),
}
