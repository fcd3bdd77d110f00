"""What a stream makes of packets around the first sender report, without sockets."""

import pytest

from devices.clock import SimulatedClock
from devices.emulator.programmes.drawn import draw_test_card
from devices.mailbox import Mailbox
from devices.neon.rtsp.description import Description
from devices.neon.source import Source
from devices.neon.streams import MOST_WAITING, GazeStream
from devices.neon.timing import ClockOffset
from devices.neon.wire import RtpPacket, SenderReport, pack_gaze
from devices.neon.world import WorldStream

MS = 1_000_000
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


def sized(*size):
    """A card's parameter sets in one packet, and a key picture that begins with first_mb 0."""
    card = draw_test_card(seconds=0.1, width=size[0], height=size[1])
    units = card.parameters
    sets = b"\x18" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)
    return units, sets


@pytest.fixture
def both():
    """The two streams of a phone that has not told its size; a tick is a 90,000th of a second."""
    mailbox, clock = Mailbox(), SimulatedClock(START)
    parts = (mailbox, clock, lambda: None)
    world = WorldStream(*parts, Video(mailbox))
    gaze = GazeStream(*parts, world, None)
    for stream, kind in ((world, 96), (gaze, 99)):
        stream.begin(Description(90_000, kind, (), source=7))
        stream.set_offset(ClockOffset(0, START))
        stream.on_report(SenderReport(7, START, 0).packed())
    return world, gaze, clock, mailbox


def look(gaze, sequence, milliseconds):
    payload = pack_gaze(80.0, 60.0, True, 9)
    gaze.on_packet(RtpPacket(99, sequence, milliseconds * 90, 7, True, payload).packed())


def test_gaze_follows_the_size_of_the_frame_of_its_moment(both):
    world, gaze, clock, mailbox = both
    clock.sleep_until(START + 100 * MS)
    look(gaze, 0, 1)  # before anything is known of the size: it waits
    assert not mailbox.collect().samples
    _, small = sized(160, 120)
    world.on_packet(packet(0, 5 * 90, False, small))
    world.on_packet(packet(1, 5 * 90, True))
    look(gaze, 1, 30)
    _, large = sized(320, 240)
    world.on_packet(packet(2, 40 * 90, False, large))
    look(gaze, 2, 45)  # the picture that it lies in is on its way
    look(gaze, 3, 50)
    assert len(mailbox.collect().samples) == 2
    world.on_packet(packet(3, 40 * 90, True))
    look(gaze, 4, 39)  # late, and of the picture before
    look(gaze, 5, 60)
    found = mailbox.collect().samples
    assert [(s.captured_at - START) // MS for s in found] == [45, 50, 60]
    assert [(s.x, s.y) for s in found] == [(0.25, 0.25)] * 3
    assert mailbox.counts().gaze.dropped == {"late": 1}
    assert world.size_at(START + 39 * MS) == (160, 120)
    assert world.size_at(START + 40 * MS) == (320, 240) == world.size


def test_gaze_that_can_not_be_placed_waits_bounded_and_is_counted(both):
    _, gaze, clock, mailbox = both
    clock.sleep_until(START + 4000 * MS)
    for number in range(MOST_WAITING + 7):
        look(gaze, number, number * 5)
    assert mailbox.counts().gaze.dropped == {"frame size not known": 7}
    gaze.close()
    mailbox.close()
    counts = mailbox.counts().gaze
    assert counts.dropped["run ended"] == MOST_WAITING
    assert counts.received == sum(counts.dropped.values()) == MOST_WAITING + 7


def test_a_new_size_in_the_middle_of_what_refers_to_the_old_is_no_picture(both):
    world, _, clock, _ = both
    clock.sleep_until(START + 100 * MS)
    world.on_packet(packet(0, 90, False, sized(160, 120)[1]))
    world.on_packet(packet(1, 90, True))
    world.on_packet(packet(2, 180, False, sized(320, 240)[1]))
    world.on_packet(packet(3, 180, True, b"\x41\x9a\x00"))
    assert world.size == (160, 120)
    assert [picture.data is None for picture, _ in world._video.taken] == [False, True]


def test_the_first_two_in_a_row_are_believed_and_nobody_else():
    source = Source(None)
    for sequence in (5, 9, 3):
        source.packet(RtpPacket(96, sequence, 0, 66, True, b"x"))
    assert source.pinned is None
    source.report(SenderReport(66, START, 0), START)
    assert source.pinned == 66  # a report and a packet
    source = Source(None)
    assert source.report(SenderReport(13, START, 0), START) is None
    source.packet(RtpPacket(96, 65535, 0, 7, True, b"x"))
    source.packet(RtpPacket(96, 0, 0, 7, True, b"x"))
    assert source.pinned == 7
    assert source.report(SenderReport(13, START, 0), START) is None
    assert source.report(SenderReport(7, START, 0), START) is not None
    source.packet(RtpPacket(96, 1, 0, 13, True, b"x"))
    assert source.pinned == 7


def test_a_report_believed_late_is_as_old_as_it_is():
    source = Source(None)
    assert source.report(SenderReport(7, START, 0), START + 5) is None
    heard = source.packet(RtpPacket(96, 0, 0, 7, True, b"x"))
    assert heard.arrived_at == START + 5 and heard.report.moment == START


def test_senders_without_end_are_forgotten():
    source = Source(None)
    for number in range(10_000):
        source.packet(RtpPacket(96, number, 0, number, True, b"x"))
    assert len(source._candidates) <= 8 and source.pinned is None
    assert Source(42).report(SenderReport(7, START, 0), START) is None
