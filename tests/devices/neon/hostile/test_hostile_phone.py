"""Phones that lie: each costs one clear line at the start or one reconnect, never the run."""

import base64
import json
import time
from contextlib import contextmanager
from itertools import repeat

import pytest
from hostile_phone import (
    HostilePhone,
    component,
    of_method,
    of_status,
    response,
    sequence_parameters,
    with_body,
)
from playing_phone import QUICK, Watch, times_are_right

from devices.device import DeviceError
from devices.neon.device import NeonDevice

pytestmark = pytest.mark.realtime

MIB = 2**20
PPS = bytes.fromhex("68ce06f2")


def sprop(*units):
    """Takes the place of a description's parameter sets."""
    text = ",".join(base64.b64encode(unit).decode() for unit in units)
    return lambda body: (
        body.partition("sprop-parameter-sets=")[0]
        + (f"sprop-parameter-sets={text}\r\na=control:trackID=0\r\n")
    )


def described(change):
    return of_method("DESCRIBE", lambda answer: with_body(answer, change), "world")


def length(value):
    return of_method("DESCRIBE", lambda answer: answer.replace(b"Content-Length: ", value + b"X: "))


def refusal(method, status):
    return of_method(
        method, lambda answer: b"RTSP/1.0 %s\r\n%s\r\n\r\n" % (status, answer.split(b"\r\n")[1])
    )


ANSWERS = {
    "negative length": (length(b"Content-Length: -68\r\n"), "Content-Length: -68"),
    "length of a terabyte": (length(b"Content-Length: 1000000000000\r\n"), "Content-Length: 1000"),
    "length that is no number": (length(b"Content-Length: many\r\n"), "Content-Length: many"),
    "8 MB of sprop": (described(sprop(b"\x67" * 6 * MIB)), "Content-Length: 8"),
    "100 KB of sprop": (described(sprop(b"\x67" * 70_000)), "parameters are too large"),
    "no base64": (described(lambda body: body.replace("sets=", "sets=!!!!")), "no base64"),
    "2^33 frame numbers": (
        described(sprop(sequence_parameters(log2_frames=33), PPS)),
        "29 in a header",
    ),
    "cropped to nothing": (
        described(sprop(sequence_parameters(160, 120, crop=(0, 80, 0, 0)), PPS)),
        "a picture of 0 x 128 pixels",
    ),
    "16777232 wide": (described(sprop(sequence_parameters(16777232, 120), PPS)), "1048576 in a"),
    "no parameters but a PPS": (described(sprop(PPS)), "do not give the picture's size"),
    "H264/0": (described(lambda body: body.replace("/90000", "/0")), "0 ticks per second"),
    "payload type 999": (
        described(lambda body: body.replace("rtpmap:96 ", "rtpmap:999 ")),
        "payload type 999",
    ),
    "no rtpmap": (described(lambda body: body.replace("rtpmap", "map")), "rtpmap"),
    "no media": (described(lambda body: "v=0\r\n"), "describes nothing"),
    "500": (
        refusal("DESCRIBE", b"500 Internal Server Error"),
        "answers DESCRIBE with 500 Internal",
    ),
    "404": (refusal("OPTIONS", b"404 Not Found"), "answers OPTIONS with 404 Not Found"),
    "453": (refusal("SETUP", b"453 Not Enough Bandwidth"), "answers SETUP with 453 Not Enough"),
    "a forged line": (refusal("PLAY", b"500 \x1b[2Jerror:\nforged"), "500 \ufffderror: forged"),
    "no session": (of_method("SETUP", lambda a: a.replace(b"Session", b"X")), "names no session"),
    "other channels": (
        of_method("SETUP", lambda a: a.replace(b"=0-1", b"=8-9")),
        "other channels",
    ),
}

STATUSES = {
    "port 70000": (
        of_status(lambda c: component(c, "Sensor", sensor="gaze").update(port=70000)),
        "port 70000 of the sensor gaze",
    ),
    "no address": (
        of_status(lambda c: component(c, "Sensor", sensor="world").update(ip="evil\r\nX: y")),
        "no valid IP address of the sensor world",
    ),
    "parameters that forge a request": (
        of_status(lambda c: component(c, "Sensor", sensor="world").update(params="a HTTP/1.0\n")),
        "no valid stream of the sensor world",
    ),
    "no list": (lambda path, honest: response(b'{"result": 3}'), "status makes no sense"),
    "no JSON": (lambda path, honest: response(b"\xff\x00["), "status makes no sense"),
    "no phone": (of_status(lambda c: {"result": []}), "it speaks of no phone"),
    "200,000 lists": (
        lambda path, honest: response(b'{"result":' + b"[" * 200_000),
        "status makes no sense",
    ),
    "500": (lambda path, honest: response(b"", "500 Oh \x1b[2J No"), "/api/status with 500 Oh"),
    "a bent connection": (lambda path, honest: b"SSH-2.0-dropbear\r\n", "no connection"),
}


@contextmanager
def hostile(card, **options):
    with HostilePhone(card, settings=QUICK, **options) as phone:
        yield phone


def refused(phone, transport="tcp"):
    """The one line by which connecting fails."""
    began = time.monotonic()
    with pytest.raises(DeviceError) as raised:
        NeonDevice(phone.address, phone.port, transport=transport).connect()
    assert time.monotonic() - began < 4
    line = str(raised.value)
    assert line.isprintable() and len(line) < 400
    return line


@pytest.mark.parametrize("lie", ANSWERS)
def test_an_answer_that_makes_no_sense_is_said_as_such(card, lie, capfd):
    answer, said = ANSWERS[lie]
    with hostile(card) as phone:
        phone.lies.answer = answer
        line = refused(phone)
        assert said in line and "answers, but not as it should" in line
        assert "firewall" not in line
        # It is the phone's to speak sense again, not ours to forget.
        phone.lies.stop()
        with NeonDevice(phone.address, phone.port, transport="tcp") as info:
            assert (info.frame_width, info.frame_height) == (320, 240)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("lie", STATUSES)
def test_a_status_that_makes_no_sense_is_said_as_such(card, lie):
    http, said = STATUSES[lie]
    with hostile(card) as phone:
        phone.lies.http = http
        line = refused(phone)
        assert said in line
        assert ("firewall" in line) == (said == "no connection")


@pytest.mark.parametrize(
    ("answer", "flood"),
    [
        (lambda a: b"RTSP/1.0 200 OK\r\nX: ", b"a" * MIB),
        (lambda a: a.replace(b"\r\n\r\n", b"\r\nContent-Length: 131072\r\n\r\n"), b"b" * 100),
        (lambda a: b"", b"RTSP/" * 200_000),
        (lambda a: b"", b"$" * MIB),
    ],
    ids=["head without end", "body without end", "no answers", "dollars"],
)
def test_floods_end_with_the_time_that_connecting_may_take(card, answer, flood, resident):
    with hostile(card) as phone:
        phone.lies.answer = of_method("OPTIONS", answer)
        phone.lies.flood = flood
        before = resident()
        refused(phone)
        phone.lies.stop()
        assert resident() - before < 60 * MIB


def test_garbage_between_the_answers_is_skipped(card):
    with hostile(card) as phone:
        phone.lies.answer = of_method("OPTIONS", lambda a: b"$\x00\xff\xff" + b"\0" * MIB + a)
        with NeonDevice(phone.address, phone.port, transport="tcp"):
            pass


@pytest.mark.parametrize(
    "endless",
    [
        [response(b"", length=10**8)[:-2] + b"\r\n", *repeat(b" " * MIB, 100)],
        repeat(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 4000 + b"\r\n"),
    ],
    ids=["100 MB", "headers without end"],
)
def test_a_status_without_end_is_given_up(card, endless, resident):
    with hostile(card) as phone:
        phone.lies.http = lambda path, honest: endless
        before = resident()
        refused(phone)
        phone.lies.stop()
        assert resident() - before < 60 * MIB


def test_what_no_stream_depends_on_may_be_nonsense(card):
    def change(components):
        component(components, "Phone").update(
            device_name="Ada\x1b[2J\r\nerror: forged\ud83d",
            battery_level={"a": 1},
            battery_state=["\x1b[31m"],
            time_echo_port=70000,
        )

    with hostile(card) as phone:
        phone.lies.http = of_status(change)
        device = NeonDevice(phone.address, phone.port, transport="tcp")
        with device as info:
            assert info.name == "Neon (Ada\ufffd error: forged\ufffd)"
            assert device.condition().battery_level is None
            watch = Watch(phone, device)
            watch.wait(lambda: watch.frames and watch.gaze)
            assert watch.said("offers no time echo")


def test_a_battery_state_is_one_harmless_line(card):
    def change(components):
        component(components, "Phone").update(battery_state="LOW\x1b]0;owned\x07\nALERT forged")

    with hostile(card) as phone:
        phone.lies.http = of_status(change)
        device = NeonDevice(phone.address, phone.port, transport="tcp")
        with device:
            watch = Watch(phone, device)
            watch.wait(lambda: watch.said("battery"))
        assert all(line.isprintable() for _, line in watch.notices)


def test_what_a_phone_answers_in_mid_stream_is_said_and_it_comes_back(card):
    with hostile(card) as phone:
        device = NeonDevice(phone.address, phone.port, transport="tcp")
        with device:
            watch = Watch(phone, device)
            watch.wait(lambda: watch.frames and watch.gaze)
            phone.lies.answer = refusal("DESCRIBE", b"453 Not Enough Bandwidth")
            phone.inject("reset")
            watch.wait(lambda: len(watch.said("answers DESCRIBE with 453 Not Enough")) >= 2)
            phone.lies.answer = length(b"Content-Length: -68\r\n")
            watch.wait(lambda: len(watch.said("Content-Length: -68")) >= 2)
            phone.lies.http = lambda path, honest: response(json.dumps({"result": 1}).encode())
            watch.wait(lambda: watch.said("answers strangely: its status makes no sense"))
            phone.lies.stop()
            frames, gaze = len(watch.frames), len(watch.gaze)
            watch.wait(lambda: len(watch.frames) > frames + 10 and len(watch.gaze) > gaze + 50)
            assert times_are_right(watch.frames) and times_are_right(watch.gaze)
