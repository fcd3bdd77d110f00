"""What a stream makes of packets around the first sender report, without sockets."""

import pytest

from devices.clock import SimulatedClock
from devices.mailbox import Mailbox
from devices.neon.rtsp.description import Description
from devices.neon.timing import ClockOffset
from devices.neon.wire import RtpPacket, SenderReport
from devices.neon.world import WorldStream

START = 1_700_000_000_000_000_000
PARAMETERS = (
    bytes.fromhex("6742801fda0190097a6a000c000da1426a"),
    bytes.fromhex("68ce06f2"),
)


class Video:
    """Takes pictures in place of the decoding thread."""

    def __init__(self, mailbox):
        self.mailbox, self.taken = mailbox, []

    def begin_stream(self):
        """Nothing is decoded."""

    def take(self, picture, captured_at):
        self.mailbox.receive("frames")
        self.taken.append((picture, captured_at))


@pytest.fixture
def world():
    mailbox = Mailbox()
    stream = WorldStream(mailbox, SimulatedClock(START), lambda: None, Video(mailbox))
    stream.begin(Description(90_000, 96, PARAMETERS))
    stream.set_offset(ClockOffset(0, START))
    return stream


def packet(sequence, stamp, marker, payload=b"\x65\x88\x80", source=7):
    return RtpPacket(96, sequence, stamp, source, marker, payload).packed()


def test_a_picture_that_began_before_the_report_counts_as_before_it(world):
    world.on_packet(packet(0, 100, True))
    world.on_packet(packet(1, 200, False))
    world.on_report(SenderReport(7, START, 200).packed())
    world.on_packet(packet(2, 200, False))
    world.on_packet(packet(3, 200, True))
    world.on_packet(packet(4, 300, True))
    counts = world._mailbox.counts().frames
    assert dict(counts.dropped) == {"before the first sender report": 2}
    assert counts.received == 3
    ((picture, captured_at),) = world._video.taken
    assert picture.timestamp == 300 and picture.data is not None and not picture.gap
    assert captured_at == START + 100 * 1_000_000_000 // 90_000


def test_packets_of_another_source_or_type_are_garbage(world):
    world.on_report(SenderReport(7, START, 0).packed())
    world.on_packet(packet(0, 0, False))
    for data in (b"", b"\x80", packet(0, 0, True, source=8), b"\x00" * 20):
        world.on_packet(data)
    world.on_packet(RtpPacket(97, 0, 0, 7, True, b"\x65\x88").packed())
    world.on_report(b"\x80\xc8")
    assert world.garbage == 6 and not world._video.taken
    world.on_packet(packet(1, 0, True))
    assert len(world._video.taken) == 1


def test_a_new_connection_forgets_the_report_of_the_one_before(world):
    world.on_report(SenderReport(7, START, 0).packed())
    world.on_packet(packet(0, 0, True))
    world.begin(Description(90_000, 96, PARAMETERS))
    world.on_packet(packet(500, 9_000_000, True, source=9))
    assert len(world._video.taken) == 1
    assert world._mailbox.counts().frames.dropped["before the first sender report"] == 1
    world.on_report(SenderReport(9, START, 9_000_000).packed())
    world.on_packet(packet(501, 9_000_000, True, source=9))
    assert world._video.taken[-1][1] == START
