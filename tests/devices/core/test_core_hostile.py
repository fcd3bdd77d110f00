"""A Pupil Capture that lies: no message ends a thread, no number that is none gets in."""

import io
import math
import threading

import numpy as np
import pytest

pytest.importorskip("zmq", reason="needs the extra 'core'")
pytest.importorskip("msgpack", reason="needs the extra 'core'")

from playing_capture import collect, connected

from devices.bounds import fault
from devices.core import messages
from devices.core.connection import dictionary
from devices.core.device import CoreDevice
from devices.core.messages import BadMessage, PupilClock
from devices.device import DeviceError
from devices.emulator.capture import PupilCapture
from devices.samples import Fixation, GazeSample, SceneFrame

NAN, INF = math.nan, math.inf
GOOD = {"norm_pos": [0.5, 0.5], "confidence": 0.9, "timestamp": 1.0, "duration": 100.0}
BAD = [
    *({"norm_pos": p} for p in ([NAN, 0.5], [0.5, INF], [1e30, 0], [0.5], "ab", {"a": 1, "b": 2})),
    *({name: NAN} for name in ("timestamp", "duration", "confidence")),
    *({name: INF} for name in ("timestamp", "duration", "confidence")),
    {"timestamp": 1e300}, {"timestamp": -1e300}, {"timestamp": 2**64 - 1}, {"duration": -5.0},
    {"duration": 1e300}, {"timestamp": "1"}, {"timestamp": True}, {"confidence": None},
]  # fmt: skip


def read(message):
    moment = PupilClock(0).date(messages.pupil_seconds(message), 10**9)
    if moment is None:
        raise BadMessage("no date")
    for make in (messages.gaze_sample, messages.fixation):
        assert fault(make(message, moment, 10**9)) is None


@pytest.mark.parametrize("change", BAD, ids=str)
def test_numbers_that_are_none_are_bad_messages(change):
    read(GOOD)
    with pytest.raises(BadMessage):
        read(GOOD | change)


def test_one_bad_message_of_each_kind_costs_itself_and_no_more(capfd):
    threads = threading.active_count()
    with connected() as (capture, device):
        collect(device, 0.3)
        send = capture._send
        nonsense = iter(BAD * 20)

        def lying(topic, message, data=None):
            send(topic, message, data)
            bad = next(nonsense, {})
            if topic != "frame.world":
                send(topic, message | bad, data)
            else:
                send(topic, message | {"width": 2**31, "height": -1}, b"\xff\xd8" + data[:40])
            capture._publisher.send_multipart([topic.encode(), b"\xc1" + b"\x91" * 5000])

        capture._send = lying
        samples = collect(device, 1.2)
        capture._send = send
        after = collect(device, 0.6)
        assert threading.active_count() > threads
    for kind in (GazeSample, SceneFrame):
        assert any(isinstance(sample, kind) for sample in after)
    assert all(fault(sample) is None for sample in samples)
    assert any(isinstance(sample, Fixation) for sample in samples + after)
    counts = device.counts()
    assert counts.gaze.dropped["malformed"] > 60 and counts.frames.dropped["malformed"] > 5
    for each in (counts.gaze, counts.frames):
        assert each.received == each.delivered + sum(each.dropped.values())
    assert capfd.readouterr().err == ""


def test_a_defect_in_a_thread_is_said_and_the_thread_goes_on(monkeypatch, capfd):
    with connected() as (_, device):
        collect(device, 0.3)

        def defect(*_):
            raise RuntimeError("nobody thought of this")

        notices = []
        with monkeypatch.context() as patch:
            patch.setattr(messages, "gaze_sample", defect)
            patch.setattr(messages, "pixels", defect)
            collect(device, 0.6, notices=notices)
        assert 2 <= sum("nobody thought of this" in line for line in notices) <= 4
        after = collect(device, 0.5)
        assert {type(sample) for sample in after} >= {GazeSample, SceneFrame}
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        (b"SUB_PORT", b"70000", "instead of a port"),
        (b"SUB_PORT", "٣٣".encode(), "instead of a port"),
        (b"SUB_PORT", b"9" * 5000, "instead of a port"),
        (b"SUB_PORT", b"\x1b[2Jx\ny", "'\ufffdx y' instead of a port"),
        (b"SUB_PORT", b"\xff\xfe", "utf-8"),
        (b"t", b"nan", "instead of a time"),
        (b"t", b"inf", "instead of a time"),
        (b"t", b"1e300", "instead of a time"),
    ],
)
def test_an_answer_that_makes_no_sense_is_one_clear_line(monkeypatch, question, answer, said):
    honest = PupilCapture._answer

    def lie(capture, parts):
        if parts == [question]:
            capture._requests.send(answer)
        else:
            honest(capture, parts)

    monkeypatch.setattr(PupilCapture, "_answer", lie)
    with PupilCapture() as capture, pytest.raises(DeviceError, match=said) as raised:
        CoreDevice("127.0.0.1", capture.port).connect()
    assert str(raised.value).isprintable()


def test_an_address_that_is_none_is_one_clear_line():
    with pytest.raises(DeviceError, match="no Pupil Capture"):
        CoreDevice("no such\x1b host").connect()


def test_a_picture_that_claims_to_be_huge_is_not_unpacked():
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    header = data.index(b"\xff\xc0")
    for size, said in (
        (b"\x23\x28", "9000 x 9000 pixels"),
        (b"\xff\xff", "can't be read"),
        (b"\x04\x00", f"{len(data)} bytes for 1024 x 1024 pixels"),
    ):
        data[header + 5 : header + 9] = size * 2
        with pytest.raises(BadMessage, match=said):
            messages.pixels({"format": "jpeg"}, bytes(data))
    with pytest.raises(BadMessage):
        messages.pixels({"format": "bgr", "width": -1, "height": 3}, bytes(27))
    with pytest.raises(BadMessage):
        messages.pixels({"format": "jpeg"}, b"%!PS-Adobe-3.0 EPSF-3.0\n")


def test_a_black_picture_is_one():
    from PIL import Image

    for size in ((64, 48), (1600, 1200)):
        buffer = io.BytesIO()
        Image.new("RGB", size).save(buffer, "JPEG")
        assert messages.pixels({"format": "jpeg"}, buffer.getvalue()).shape[1::-1] == size


@pytest.mark.parametrize("data", [b"", b"\x91" * 200_000, b"\xdd\xff\xff\xff\xff", b"\xc7"])
def test_a_dictionary_that_can_not_be_read_is_empty(data):
    assert dictionary(data) == {}
