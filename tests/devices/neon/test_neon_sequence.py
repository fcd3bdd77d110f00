"""Packets in the order they were sent, and what is missing."""

from devices.neon.sequence import Sequencer, Tally
from devices.neon.wire import RtpPacket

MS = 1_000_000


def packet(sequence):
    return RtpPacket(96, sequence % 2**16, 0, 1, False, b"x")


def feed(sequencer, arrivals):
    """[(sequence, gap)] of what comes out for [(ms, sequence)]."""
    out = []
    for moment, sequence in arrivals:
        out += sequencer.push(packet(sequence), moment * MS)
    return [(arrival.packet.sequence, arrival.gap) for arrival in out]


def test_order_is_restored_across_the_wrap():
    sequencer = Sequencer(50 * MS, 100)
    got = feed(sequencer, [(0, 65534), (1, 0), (2, 65535), (3, 2), (4, 1)])
    assert got == [(65534, False), (65535, False), (0, False), (1, False), (2, False)]
    assert sequencer.tally == Tally(expected=5)


def test_a_missing_packet_is_waited_for_and_then_given_up():
    sequencer = Sequencer(50 * MS, 100)
    assert feed(sequencer, [(0, 1), (1, 3), (2, 4), (50, 5)]) == [(1, False)]
    assert feed(sequencer, [(51, 6)]) == [(3, True), (4, False), (5, False), (6, False)]
    assert sequencer.tally == Tally(expected=6, lost=1)


def test_time_alone_gives_it_up_too():
    sequencer = Sequencer(50 * MS, 100)
    feed(sequencer, [(0, 1), (1, 3)])
    assert sequencer.expire(50 * MS) == []
    assert [a.packet.sequence for a in sequencer.expire(51 * MS)] == [3]


def test_what_comes_after_it_was_given_up_is_late_and_what_comes_twice_is_not_repeated():
    sequencer = Sequencer(10 * MS, 100)
    got = feed(sequencer, [(0, 1), (1, 3), (20, 4), (21, 2), (22, 4), (23, 5), (23, 7), (24, 7)])
    assert got == [(1, False), (3, True), (4, False), (5, False)]
    assert sequencer.tally == Tally(expected=5, lost=1, late=1, duplicates=2)


def test_no_more_are_held_than_the_limit():
    sequencer = Sequencer(1000 * MS, 3)
    got = feed(sequencer, [(0, 0), (1, 2), (2, 3), (3, 4), (4, 5)])
    assert got == [(0, False), (2, True), (3, False), (4, False), (5, False)]


def test_a_stream_that_begins_anew_is_a_gap_and_no_loss():
    sequencer = Sequencer(50 * MS, 100)
    got = feed(sequencer, [(0, 100), (1, 40_000), (2, 40_001)])
    assert got == [(100, False), (40_000, True), (40_001, False)]
    assert sequencer.tally.lost == 0
