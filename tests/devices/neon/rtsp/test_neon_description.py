"""What of a phone's answers is read, and what is refused."""

import base64

import pytest

from devices.neon.rtsp.answers import MalformedAnswer, parse_head
from devices.neon.rtsp.description import MalformedDescription, parse_description
from devices.neon.video.bitstream import parameter_sets

REAL = ("Z0KAH9oBkAl6agAMAA2hQmo=", "aM4G8g==")
VIDEO = (
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={','.join(REAL)}\r\n"
    "a=control:trackID=1\r\n"
)
AUDIO = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 PCMU/8000/1\r\na=control:trackID=0\r\n"
GAZE = "m=application 0 RTP/AVP 99\r\na=rtpmap:99 com.pupillabs.gaze1/90000\r\na=control:x\r\n"


def test_the_video_is_found_beside_the_microphone():
    found = parse_description("v=0\r\n" + AUDIO + VIDEO)
    assert (found.rate, found.payload_type, found.control) == (90_000, 96, "trackID=1")
    assert found.parameters == tuple(map(base64.b64decode, REAL))
    assert parameter_sets(found.parameters).size == (1600, 1200)


def test_what_is_no_video_is_set_up_by_the_url_of_the_session():
    found = parse_description("v=0\r\n" + GAZE)
    assert (found.rate, found.payload_type, found.control) == (90_000, 99, "")
    assert found.parameters == ()


@pytest.mark.parametrize("fmtp", ["", "a=fmtp:96\r\n", "a=fmtp:96 packetization-mode\r\n"])
def test_parameter_sets_may_be_missing(fmtp):
    text = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n" + fmtp
    assert parse_description(text).parameters == ()


@pytest.mark.parametrize(
    "text",
    ["", "v=0\r\n", "a=rtpmap:96 H264/90000\r\n", "m=video\r\n", VIDEO.replace("90000", "0"),
     VIDEO.replace("90000", "9" * 5000), VIDEO.replace("96 H264", "128 H264"),
     VIDEO.replace(REAL[0], "!!!!"), VIDEO.replace(REAL[0], "A" * 200_000),
     VIDEO.replace(REAL[0], "Zw=="), VIDEO.replace(",".join(REAL), REAL[1]),
     VIDEO.replace(REAL[0], ",".join([REAL[0]] * 40))],
)  # fmt: skip
def test_descriptions_that_make_no_sense_are_refused(text):
    with pytest.raises(MalformedDescription):
        parse_description(text)


def test_a_head_is_read_with_its_length_and_its_number():
    answer = parse_head(b"RTSP/1.0 404 Not Found\r\nCSEQ:  7 \r\ncontent-length: 12\r\n\r\n")
    assert (answer.status, answer.reason, answer.sequence, answer.length) == (
        404,
        "Not Found",
        7,
        12,
    )
    assert not answer.is_good
    assert parse_head(b"RTSP/1.0 200\r\n\r\n").is_good


@pytest.mark.parametrize(
    "head",
    [b"", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"RTSP/1.0 2000 OK\r\n\r\n",
     b"RTSP/1.0 200 OK\r\nno colon\r\n\r\n", b"RTSP/1.0 200 OK\r\nContent-Length: -68\r\n\r\n",
     b"RTSP/1.0 200 OK\r\nContent-Length: 1_0\r\n\r\n",
     b"RTSP/1.0 200 OK\r\nContent-Length: 131073\r\n\r\n",
     b"RTSP/1.0 200 OK\r\nContent-Length: " + "٣".encode() + b"\r\n\r\n",
     b"RTSP/1.0 200 OK\r\nX: " + b"y" * 2**14 + b"\r\n\r\n"],
)  # fmt: skip
def test_heads_that_make_no_sense_are_refused(head):
    with pytest.raises(MalformedAnswer):
        parse_head(head)
