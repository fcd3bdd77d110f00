"""Eye events of a phone whose stamps are minutes apart from its packets' times."""

import pytest

from devices.clock import SimulatedClock
from devices.mailbox import Mailbox
from devices.neon import wire
from devices.neon.rtsp.description import Description
from devices.neon.streams import EventStream
from devices.neon.timing import ClockOffset
from devices.neon.wire import RtpPacket, SenderReport
from devices.samples import Blink, Fixation

MS = 1_000_000
SECOND = 1000 * MS
# Printed in Pupil Labs' documentation of its client: stamps (ns) and the packet's time (s).
FIXATION = 1744625967695094306, 1744625968135465306, 1744626539.528702
ONSET = 1744626187872119306, 1744626759.2655792
BLINK = 1744626029708811306, 1744626029919061306, 1744626601.1020627
APART = 571_393_230_000
ZERO = 1744626000 * SECOND  # when the media clock shows 0, on the phone
HOST_AHEAD = 3 * SECOND


class Gaze:
    recent = ((ZERO, 0.25, 0.75),)

    @staticmethod
    def position(x, y, moment):
        return x / 1600, y / 1200


@pytest.fixture
def events():
    mailbox = Mailbox()
    clock = SimulatedClock(ZERO + HOST_AHEAD)
    stream = EventStream(mailbox, clock, lambda: None, Gaze())
    stream.begin(Description(90_000, wire.EVENTS_PAYLOAD, ()))
    stream.set_offset(ClockOffset(HOST_AHEAD, ZERO))
    stream.on_report(SenderReport(7, ZERO, 0).packed())
    count = iter(range(100))

    def send(moment, payload):
        """One event, its packet stamped with a moment of the phone (Unix ns)."""
        ticks = round((moment - ZERO) * 90_000 / SECOND)
        clock.sleep_until(moment + HOST_AHEAD + MS)
        packet = RtpPacket(wire.EVENTS_PAYLOAD, next(count), ticks, 7, True, payload)
        stream.on_packet(packet.packed())
        return list(mailbox.collect().samples)

    return send


def movement(start, end):
    return wire.MOVEMENT.pack(wire.FIXATION, start, end, *[0.0] * 4, 800.0, 600.0, *[0.0] * 4)


def near(moment, expected):
    return abs(moment - expected - HOST_AHEAD) < MS


def test_the_printed_sample_is_dated_like_everything_else(events):
    start, end, seconds = FIXATION
    packet_at = round(seconds * 1e9)
    (fixation,) = events(packet_at, movement(start, end))
    assert near(fixation.ended_at, packet_at)
    assert fixation.ended_at - fixation.started_at == end - start
    assert (fixation.x, fixation.y, fixation.source) == (0.5, 0.5, "device")
    stamp, seconds = ONSET
    (onset,) = events(round(seconds * 1e9), wire.ONSET.pack(wire.FIXATION_ONSET, stamp))
    assert near(onset.started_at, round(seconds * 1e9)) and onset.ended_at is None


@pytest.mark.parametrize("first", [True, False])
def test_the_packet_of_a_blink_is_of_its_start_and_it_is_known_at_its_end(events, first):
    start, end, seconds = BLINK
    if not first:
        events(round(FIXATION[2] * 1e9), movement(*FIXATION[:2]))
    (blink,) = events(round(seconds * 1e9), wire.SPAN.pack(wire.BLINK, start, end))
    assert isinstance(blink, Blink)
    assert near(blink.started_at, start + APART) and near(blink.ended_at, end + APART)
    assert blink.captured_at == blink.ended_at


@pytest.mark.parametrize("late", [0, 10, 80])
def test_stamps_of_the_same_clock_stay_as_they_are(events, late):
    at = ZERO + 60 * SECOND
    (fixation,) = events(at + late * MS, movement(at - 400 * MS, at))
    assert near(fixation.started_at, at - 400 * MS) and near(fixation.ended_at, at)
    (blink,) = events(at + late * MS, wire.SPAN.pack(wire.BLINK, at - 200 * MS, at))
    assert near(blink.started_at, at - 200 * MS) and near(blink.ended_at, at)


@pytest.mark.parametrize("length", [-1, 3600 * SECOND])
def test_what_can_not_be_an_event_is_none(events, length):
    at = ZERO + 60 * SECOND
    assert events(at, movement(at - length, at)) == []
    assert events(at, wire.SPAN.pack(wire.BLINK, at - length, at)) == []


@pytest.mark.parametrize("apart", [-3600, -5, 5, 3600])
def test_no_fixation_begins_in_the_future_or_long_ago(events, apart):
    at = ZERO + 60 * SECOND
    shifted = at + apart * SECOND
    (fixation,) = events(at, movement(shifted - 300 * MS, shifted))
    (onset,) = events(at, wire.ONSET.pack(wire.FIXATION_ONSET, shifted))
    assert isinstance(fixation, Fixation)
    assert near(fixation.started_at, at - 300 * MS) and near(onset.started_at, at)
    assert fixation.captured_at >= fixation.ended_at and onset.captured_at >= onset.started_at
