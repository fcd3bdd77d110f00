"""Sound from packets: each unit where its time stamp puts it, whatever was lost before it."""

from itertools import pairwise

import numpy as np
import pytest
from heard_sound import RATE, SECOND, chirps, likeness, shift

from devices.clock import SimulatedClock
from devices.emulator.programmes.sound import encode_sound
from devices.mailbox import Mailbox
from devices.neon.rtsp.description import (
    Description,
    MalformedDescription,
    MissingMedium,
    parse_description,
)
from devices.neon.sound.stream import SoundStream
from devices.neon.sound.units import SoundFormat, pack_units, split_units
from devices.neon.timing import ClockOffset
from devices.neon.wire import MalformedPacket, RtpPacket, SenderReport

START = 1_700_000_000 * SECOND
TRUTH = chirps(6.0)
TRACK = encode_sound(TRUTH)
AUDIO = (
    "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/8000/1\r\na=fmtp:97 mode=AAC-hbr;"
    "config=1588;sizelength=13;indexlength=3;indexdeltalength=3\r\na=control:trackID=1\r\n"
)


def heard(kept=lambda number: True, together=1, fake=()):
    """The pieces of TRACK after a journey on which only some packets were `kept`; the mailbox."""
    mailbox, clock = Mailbox(sound=1000), SimulatedClock(START)
    stream = SoundStream(mailbox, clock, lambda: None)
    stream.begin(Description(RATE, 97, (), source=7, sound=SoundFormat(RATE, TRACK.config)))
    stream.set_offset(ClockOffset(0, START))
    stream.on_report(SenderReport(7, START, 0).packed())
    for number in range(0, len(TRACK.units), together):
        units = TRACK.units[number : number + together]
        clock.sleep_until(START + units[-1].at + SECOND // 5)
        stream.tick(clock.now())
        payload = dict(fake).get(number, pack_units([unit.data for unit in units]))
        stamp = units[0].at * RATE // SECOND
        if kept(number):
            stream.on_packet(RtpPacket(97, number // together, stamp, 7, True, payload).packed())
    stream.close()
    return list(mailbox.collect().samples), mailbox, stream


@pytest.mark.parametrize("together", [1, 4])
def test_what_was_sounded_is_heard_at_its_time(together):
    pieces, mailbox, _ = heard(together=together)
    assert len(pieces) == len(TRACK.units) == mailbox.counts().sound.received
    assert all(likeness(piece, TRUTH, START) > 0.8 for piece in pieces[2:-2])
    assert all(shift(piece, TRUTH, START) == 0 for piece in pieces[2:-2])
    for piece, after in pairwise(pieces):
        assert piece.captured_at == after.begins_at
    assert pieces[0].samples.dtype == np.float32


def test_lost_packets_leave_a_hole_and_shift_nothing():
    draw = np.random.default_rng(2)
    lost = {n for n in range(2, len(TRACK.units)) if draw.random() < 0.3}
    pieces, _, _ = heard(lambda number: number not in lost)
    assert len(pieces) == len(TRACK.units) - len(lost) and len(lost) > 5
    for piece in pieces[2:-2]:
        assert shift(piece, TRUTH, START) == 0
    assert {round((p.begins_at - START) * RATE / SECOND) // 1024 for p in pieces}.isdisjoint(lost)


def test_sequence_numbers_and_time_stamps_may_wrap_around():
    mailbox, clock = Mailbox(sound=1000), SimulatedClock(START)
    stream = SoundStream(mailbox, clock, lambda: None)
    stream.begin(Description(RATE, 97, (), source=7, sound=SoundFormat(RATE, TRACK.config)))
    stream.set_offset(ClockOffset(0, START))
    base = 2**32 - 5 * 1024
    stream.on_report(SenderReport(7, START, base).packed())
    for number, unit in enumerate(TRACK.units):
        clock.sleep_until(START + unit.at + SECOND // 5)
        stamp = (base + unit.at * RATE // SECOND) % 2**32
        data = RtpPacket(97, (65_530 + number) % 2**16, stamp, 7, True, pack_units([unit.data]))
        stream.on_packet(data.packed())
    pieces = mailbox.collect().samples
    assert [piece.begins_at for piece in pieces] == [START + unit.at for unit in TRACK.units]


def test_units_that_lie_are_dropped_by_cause_and_cost_nobody_else_anything():
    whole = pack_units([TRACK.units[9].data])
    lies = {
        9: whole[:2] + b"\xff\xff" + whole[4:],
        14: b"\xff\xff" + whole[2:],
        19: whole[:3],
        24: pack_units([bytes(200)]),
    }
    pieces, mailbox, stream = heard(fake=lies)
    counts = mailbox.counts().sound
    assert counts.dropped == {"corrupt": 4} and stream.garbage == 3
    assert counts.received == len(TRACK.units) == len(pieces) + 4
    assert all(shift(piece, TRUTH, START) == 0 for piece in pieces[2:-2])


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"\0", b"\0\0", b"\0\x10", b"\0\x11\0\x08a", b"\0\x10\0\x08", b"\0\x10\0\x08ab",
        b"\0\x10\0\x09a", b"\0\x10\0\0", b"\x02\x10" + b"\0\x08" * 33 + b"a" * 33,
    ],
)  # fmt: skip
def test_headers_that_do_not_add_up_are_refused(payload):
    with pytest.raises(MalformedPacket):
        split_units(payload)


def test_units_come_back_as_they_were_packed():
    units = [bytes([n]) * n for n in range(1, 30)]
    assert split_units(pack_units(units)) == units


def test_the_microphone_is_found_in_a_description_and_missed_where_it_is_off():
    found = parse_description("v=0\r\n" + AUDIO, "audio")
    assert (found.rate, found.payload_type, found.control) == (8000, 97, "trackID=1")
    assert found.sound == SoundFormat(8000, b"\x15\x88")
    with pytest.raises(MissingMedium):
        parse_description("m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n", "audio")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MPEG4-GENERIC", "PCMU"),
        ("8000", "900000"),
        ("config=1588", "config=15x"),
        ("config=1588", "config=" + "15" * 65),
        ("sizelength=13", "sizelength=6"),
    ],
)
def test_sound_that_can_not_be_played_is_refused(one, other):
    with pytest.raises(MalformedDescription):
        parse_description("v=0\r\n" + AUDIO.replace(one, other), "audio")
