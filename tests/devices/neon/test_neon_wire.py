"""Packets and payloads, against bytes written out by hand."""

import struct

import pytest

from devices.neon import wire
from devices.neon.wire import (
    GazePayload,
    MalformedPacket,
    RtpPacket,
    SenderReport,
    pack_gaze,
    parse_gaze,
    parse_rtp,
    parse_sender_report,
)

RTP = bytes.fromhex("80e0 1234 0001e240 deadbeef".replace(" ", "")) + b"payload"


def test_an_rtp_packet():
    packet = RtpPacket(96, 0x1234, 123_456, 0xDEADBEEF, True, b"payload")
    assert parse_rtp(RTP) == packet
    assert packet.packed() == RTP


def test_padding_extension_and_contributors_are_taken_off():
    contributor, extension = b"\0\0\0\1", b"\xbe\xde\0\1abcd"
    padded = bytes((0x80 | 0x20 | 0x10 | 1,)) + RTP[1:12] + contributor + extension
    assert parse_rtp(padded + b"payload" + b"\0\0\3").payload == b"payload"


@pytest.mark.parametrize("data", [b"", RTP[:11], b"\x40" + RTP[1:], RTP[:12], b"\x9f" + RTP[1:]])
def test_what_is_no_rtp_packet_is_refused(data):
    with pytest.raises(MalformedPacket):
        parse_rtp(data)


def test_a_sender_report_keeps_nanoseconds():
    moment = 1_700_000_000_123_456_789
    # NTP counts seconds from 1900 and fractions of 2**32.
    body = struct.pack(
        "!IIIIII", 7, 1_700_000_000 + 2_208_988_800, round(0.123456789 * 2**32), 99, 3, 5
    )
    data = bytes.fromhex("80c80006") + body
    report = parse_sender_report(data)
    assert abs(report.moment - moment) <= 1
    assert (report.source, report.timestamp, report.packets, report.octets) == (7, 99, 3, 5)
    packed = parse_sender_report(SenderReport(7, moment, 99, 3, 5).packed())
    assert abs(packed.moment - moment) <= 1


def test_a_sender_report_is_found_in_a_compound():
    bye = bytes.fromhex("81cb0001 00000007".replace(" ", ""))
    report = SenderReport(7, 1_700_000_000_000_000_000, 99).packed()
    assert parse_sender_report(bye + report).source == 7
    assert parse_sender_report(bye) is None


@pytest.mark.parametrize("data", [b"\x80\xc8\0\6", b"\x00\xc8\0\0", b"\x80", b"\x80\xc8\0\1abcd"])
def test_what_is_no_rtcp_is_refused(data):
    with pytest.raises(MalformedPacket):
        parse_sender_report(data)


@pytest.mark.parametrize("size", [9, 25, 65, 89, 105])
def test_gaze_of_every_size_begins_alike(size):
    payload = struct.pack("!ffB", 800.5, -3.25, 255) + bytes(size - 9)
    assert parse_gaze(payload) == GazePayload(800.5, -3.25, True)
    assert len(pack_gaze(800.5, -3.25, True, size)) == size
    assert parse_gaze(pack_gaze(800.5, -3.25, False, size)) == GazePayload(800.5, -3.25, False)


def test_the_payload_of_two_eyes_gives_their_mean():
    payload = struct.pack("!ffBff", 100.0, 200.0, 255, 110.0, 220.0)
    assert parse_gaze(payload) == GazePayload(105.0, 210.0, True)


@pytest.mark.parametrize("worn", [0, 1, 254])
def test_only_255_means_worn(worn):
    assert not parse_gaze(struct.pack("!ffB", 1.0, 2.0, worn)).worn


@pytest.mark.parametrize("size", [0, 8, 10, 16, 106])
def test_gaze_of_an_unknown_size_is_refused(size):
    with pytest.raises(MalformedPacket, match=f"{size} bytes"):
        parse_gaze(bytes(size))


def test_the_sizes_of_the_events():
    assert (wire.MOVEMENT.size, wire.ONSET.size, wire.SPAN.size) == (60, 12, 20)
