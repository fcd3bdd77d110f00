"""One TCP connection with answers, packets and whatever else a phone writes into it."""

import random

import pytest

from devices.neon.rtsp.interleaved import Interleaved, InterleavedParser

ANSWER = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Length: 4\r\n\r\nbody"
ERROR = b"RTSP/1.0 400 Bad Request\r\n\r\n"


def frame(channel, size, fill):
    data = b"\x80" + bytes((fill,)) * (size - 1)
    return b"$" + bytes((channel,)) + size.to_bytes(2, "big") + data, (channel, data)


def read(parser, data, step):
    out = []
    for start in range(0, len(data), step):
        for message in parser.parse(data[start : start + step]):
            if isinstance(message, Interleaved):
                out.append((message.channel, message.data))
            else:
                out.append((message.status, message.body))
    return out


@pytest.mark.parametrize("step", [1, 2, 7, 1000, 100_000])
def test_messages_come_out_however_the_bytes_are_cut(step):
    first, one = frame(0, 1260, 0x24)
    second, two = frame(1, 28, 0x52)
    parser = InterleavedParser()
    got = read(parser, first + ANSWER + second + ERROR + first, step)
    assert got == [one, (200, b"body"), two, (400, b""), one]
    assert parser.skipped == 0


@pytest.mark.parametrize("step", [1, 5, 1000])
@pytest.mark.parametrize(
    "garbage", [b"hello", b"$\x07\x00\x10", b"RT", b"$$R$", b"RTSQ/1.0\r\n\r\n"]
)
def test_bytes_that_make_no_sense_are_skipped_and_counted(garbage, step):
    first, one = frame(0, 200, 1)
    second, two = frame(1, 30, 2)
    parser = InterleavedParser()
    assert read(parser, first + garbage + second + first, step) == [one, two, one]
    assert parser.skipped == len(garbage)


def test_it_recovers_from_random_bytes_and_keeps_no_more_than_a_packet():
    draw = random.Random(8)
    good, one = frame(0, 200, 1)
    parser = InterleavedParser()
    read(parser, draw.randbytes(20_000), 100)
    tail = read(parser, good * 1000, 997)
    assert tail[-300:] == [one] * 300


def test_damaged_answers_are_skipped():
    good, one = frame(0, 200, 1)
    for damaged in (b"RTSP/1.0\r\n\r\n", b"RTSP/1.0 200 OK\r\nContent-Length: x\r\n\r\n"):
        assert read(InterleavedParser(), damaged + good, 10) == [one]
