"""Session files that rotted or were made up: the device's own error, or sound samples, at once."""

import resource
import time

import numpy as np
import pytest

from devices.device import Delivery, DeviceError, DeviceInfo
from devices.samples import Blink, Fixation, GazeSample, KnownQuestion, SceneFrame
from devices.session.device import SessionDevice
from devices.session.lines import FRAMES, HEAD, LINES, last_poll, read_batches, read_head
from devices.session.writer import SessionWriter

START, MS = 1_700_000_000 * 10**9, 1_000_000
INFO = DeviceInfo("fuzzed", 64, 48, 30.0, 200.0)
NASTY = [
    *(b"NaN", b"1e999", b"-1e999", b"null", b"-1", b"1.5", b"true", b"9223372036854775808"),
    *(b"1" * 400, b"[" * 3000, b'"\\ud800"', b'"\\u0000"', b"\xff\xfe", b"{}", b"[]", b'""'),
    *(b"\n", b",", b'"', b"]", b'"poll"', b'"frame"', b'"gaze"', b'"x"', b"1700000000000000000"),
]
LINE_CASES, HEAD_CASES, FOLDER_CASES = 1_850, 100, 50
CLOSED = b'["poll",1700000000000000000,1,1,[]]\n'
SLOWEST = 0.05  # seconds of CPU time for a file of a few KiB


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Five deliveries with every kind of sample; returns the folder."""
    folder = tmp_path_factory.mktemp("fuzz") / "session"
    writer = SessionWriter(folder, INFO, START, patient=True)
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    for index in range(5):
        at = START + index * 20 * MS
        samples = (
            GazeSample(at, at, 0.25, 0.5, confidence=0.9),
            SceneFrame(at, at, index, pixels),
            Fixation(at, at, 0.25, 0.5, at - MS, None, "device"),
            Blink(at, at, at - MS, at),
            KnownQuestion(at, at, "task", "What?", ("a", "b"), "B"),
            GazeSample(at + MS, at + MS, float("nan"), 0.5),
        )
        writer.delivered(Delivery(samples, at, at, ("a line",)), at)
    assert writer.close().trouble is None
    return folder


def mutated(random, content):
    """The bytes with one to four changes: flipped, put in, cut out, doubled or cut off."""
    content = bytearray(content)
    for _ in range(random.integers(1, 5)):
        at = int(random.integers(len(content) + 1))
        until = min(len(content), at + int(random.integers(1, 40)))
        match random.integers(6):
            case 0 if at < len(content):
                content[at] = int(random.integers(256))
            case 1:
                content[at:at] = NASTY[random.integers(len(NASTY))]
            case 2:
                del content[at:until]
            case 3:
                content[at:until] = NASTY[random.integers(len(NASTY))]
            case 4:
                content[at:at] = content[at:until] * int(random.integers(1, 20))
            case 5 if random.random() < 0.3:
                del content[at:]
    return bytes(content)


def in_time(work):
    """Whether it worked; raises for any exception but the device's own, and for a long wait."""
    spent, worked = timed(work)
    if spent >= SLOWEST:  # unless it was something else that took the time
        spent = min(timed(work)[0] for _ in range(3))
    assert spent < SLOWEST
    return worked


def timed(work):
    """Its seconds of CPU time, and whether it worked."""
    began, worked = time.thread_time(), True
    try:
        work()
    except DeviceError as error:
        assert str(error)
        worked = False
    return time.thread_time() - began, worked


def check(batches):
    before = 0
    for batch in batches:
        assert before <= batch.polled_at < 2**62
        before = batch.polled_at
        for sample in batch.samples:
            assert isinstance(sample.captured_at, int)
            if isinstance(sample, GazeSample | Fixation):
                assert isinstance(sample.x, float) and isinstance(sample.y, float)


def play(folder):
    """To the end, as fast as it goes; what is delivered is sound, and all is accounted for."""
    device = SessionDevice(folder, fast=True)
    with device:
        for _ in range(200):
            delivery = device.poll()
            for sample in delivery.samples:
                if isinstance(sample, GazeSample | Fixation):
                    assert abs(sample.x) <= 10 and abs(sample.y) <= 10
            if delivery.ended:
                break
            device.clock.sleep_until(device.clock.now() + 5 * MS)
        for counts in (device.counts().frames, device.counts().gaze):
            assert counts.received == counts.delivered + sum(counts.dropped.values())


def test_the_session_itself_plays_and_gaze_that_was_no_number_is_dropped_by_cause(session):
    play(session)
    device = SessionDevice(session, fast=True)
    with device:
        while not device.poll().ended:
            device.clock.sleep_until(device.clock.now() + 5 * MS)
        gaze = device.counts().gaze
    assert (gaze.received, gaze.delivered) == (10, 5)
    assert gaze.dropped == {"not a valid position": 5}


def test_a_video_whose_tags_are_no_text_is_played(session, tmp_path):
    for each in (HEAD, LINES, FRAMES):
        content = (session / each).read_bytes()
        (tmp_path / each).write_bytes(content.replace(b"Lavf", b"L\xdcvf"))
    assert (tmp_path / FRAMES).read_bytes() != (session / FRAMES).read_bytes()
    play(tmp_path)


@pytest.mark.damaged
def test_mutated_files_give_sound_samples_or_the_devices_own_error(
    session, tmp_path, times_as_many
):
    random = np.random.default_rng(15)
    original = {name: (session / name).read_bytes() for name in (HEAD, LINES, FRAMES)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    worked = 0
    for _ in range(LINE_CASES * times_as_many):
        (tmp_path / LINES).write_bytes(mutated(random, original[LINES]))
        worked += in_time(lambda: check(read_batches(tmp_path)))
        in_time(lambda: last_poll(tmp_path))
    for _ in range(HEAD_CASES * times_as_many):
        (tmp_path / HEAD).write_bytes(mutated(random, original[HEAD]))
        worked += in_time(lambda: read_head(tmp_path))
    for _ in range(FOLDER_CASES * times_as_many):
        chosen = (HEAD, LINES, FRAMES)[random.integers(3)]
        for name, content in original.items():
            (tmp_path / name).write_bytes(mutated(random, content) if name == chosen else content)
        worked += in_time(lambda: play(tmp_path))
    assert 50 < worked / times_as_many < 1_950  # neither all refused nor nothing touched
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 << 10, f"{grown} KiB more"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (HEAD, b"[" * 200_000),
        (HEAD, b'{"format":1,"started_at":1,"info":' + b"{" * 100_000),
        (LINES, b"[" * 200_000 + b"\n" + CLOSED),
        (LINES, b'["gaze",' + b" " * (2 << 20) + b"1]\n" + CLOSED),
        (LINES, b'["blink",1,1,1,1]\n' * 200_000 + CLOSED),
        (LINES, b'["poll",1,1,1,[]]\n["poll",4600000000000000000,1,1,[]]\n'),
        (LINES, b'["frame",1,1,0]\n["poll",1700000000000000000,1,1,[]]\n'),
    ],
)
def test_files_that_are_made_to_cost_much_are_refused(session, tmp_path, name, content):
    for each in (HEAD, LINES, FRAMES):
        (tmp_path / each).write_bytes((session / each).read_bytes())
    (tmp_path / name).write_bytes(content)
    spent = []
    for _ in range(3):  # something else may take the time
        began = time.thread_time()
        with pytest.raises(DeviceError, match=name):
            play(tmp_path)
        spent.append(time.thread_time() - began)
        if spent[-1] < 2.0:
            return
    pytest.fail(f"{spent} s")
