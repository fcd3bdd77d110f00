"""A saved session plays back the very same run: samples, answers, times of delivery."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from drawn_recording import draw_neon
from stand_in import MS, SECOND, START, stream

from devices.device import Delivery, DeviceError, DeviceInfo
from devices.samples import Blink, Fixation, KnownQuestion, SceneFrame
from devices.session.device import SessionDevice
from devices.session.writer import SessionWriter
from runtime.live import main

INFO = DeviceInfo("listed", 160, 120, 30.0, 200.0, detects_fixations=True)
EXACT = ("question", "answer", "probabilities", "steps", "fixations", "asked_at", "gaze_at", "note")


def live(bundle, *more):
    return main(["--bundle", str(bundle), *map(str, more)])


def records_of(path, kind="answer"):
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [record for record in records if record["kind"] == kind]


def exact(records):
    return [{name: record[name] for name in EXACT} for record in records]


def saved(folder, samples, every=20 * MS, **options):
    """Save samples in deliveries of `every`; returns those, and what the writer says."""
    writer = SessionWriter(folder, INFO, START, patient=True, **options)
    deliveries = []
    for now in range(START, START + 2 * SECOND, every):
        mine = tuple(s for s in samples if now - every < s.arrived_at <= now)
        delivery = Delivery(mine, now - 7, now - 3, ("a line",) if now == START else ())
        writer.delivered(delivery, now)
        deliveries.append((now, delivery))
    return deliveries, writer.close()


def some_samples():
    """Two seconds with every kind of sample in it."""
    extra = [
        Blink(START + SECOND, START + SECOND, START + 900 * MS, START + SECOND),
        Fixation(START + 40, START + 50, 0.25, 0.5, START + 1, None, "device"),
        Fixation(START + 60, START + 70, 0.25, 1 / 3, START + 1, START + 60, "file", whole=True),
        KnownQuestion(START + 80, START + 90, "task", "What?", ("a", "b"), "B"),
    ]
    return sorted([*stream(2, delay=3 * MS), *extra], key=lambda sample: sample.arrived_at)


def played(folder):
    """Every delivery of a session with the time at which it was polled."""
    device = SessionDevice(folder, fast=True)
    found = []
    with device:
        while True:
            found.append((device.clock.now(), device.poll()))
            if found[-1][1].ended:
                return found
            device.clock.sleep_until(device.clock.now() + 5 * MS)


def is_frame(sample):
    return isinstance(sample, SceneFrame)


def assert_same(sample, other):
    if isinstance(sample, SceneFrame):
        facts = ("captured_at", "arrived_at", "index")
        assert [getattr(sample, f) for f in facts] == [getattr(other, f) for f in facts]
        np.testing.assert_array_equal(sample.pixels, other.pixels)
    else:
        assert sample == other


def test_every_sample_and_every_pixel_comes_back_when_it_was_polled(tmp_path):
    deliveries, outcome = saved(tmp_path / "s", some_samples())
    found = played(tmp_path / "s")
    assert outcome.trouble is None and outcome.frames == 60
    assert [at for at, _ in found] == [at for at, _ in deliveries]
    for (_, given), (_, back) in zip(deliveries, found, strict=True):
        assert (back.frames_until, back.gaze_until) == (given.frames_until, given.gaze_until)
        assert back.notices == given.notices
        for sample, other in zip(given.samples, back.samples, strict=True):
            assert_same(sample, other)


def test_what_the_device_was_comes_back(tmp_path):
    saved(tmp_path / "s", some_samples())
    device = SessionDevice(tmp_path / "s", fast=True)
    with device as info:
        assert (info.frame_width, info.frame_height, info.detects_fixations) == (160, 120, True)
        assert info.starts_at == START and info.ends_at == START + 1980 * MS


def test_a_session_that_was_cut_off_plays_up_to_there(tmp_path):
    saved(tmp_path / "s", some_samples())
    lines = (tmp_path / "s" / "samples.jsonl").read_bytes()
    (tmp_path / "s" / "samples.jsonl").write_bytes(lines[: len(lines) // 2])
    found = played(tmp_path / "s")
    frames = sum(isinstance(s, SceneFrame) for _, each in found for s in each.samples)
    assert 20 <= frames <= 40
    video = (tmp_path / "s" / "frames.mkv").read_bytes()
    (tmp_path / "s" / "frames.mkv").write_bytes(video[: len(video) // 4])
    shorter = played(tmp_path / "s")
    fewer = sum(isinstance(s, SceneFrame) for _, each in shorter for s in each.samples)
    assert 1 <= fewer < frames
    assert "cut off" in shorter[-1][1].notices[-1]


def test_a_session_without_its_frames_is_refused(tmp_path):
    saved(tmp_path / "s", some_samples())
    (tmp_path / "s" / "frames.mkv").unlink()
    with pytest.raises(DeviceError, match=r"no frames\.mkv"):
        played(tmp_path / "s")


def test_a_full_session_stops_and_says_so(tmp_path):
    _, outcome = saved(tmp_path / "s", some_samples(), limit=100_000)
    assert "limit" in outcome.trouble
    size = sum(file.stat().st_size for file in (tmp_path / "s").iterdir())
    assert size < 200_000
    assert played(tmp_path / "s")


def test_a_writer_that_cannot_keep_up_loses_frames_and_never_blocks(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    monkeypatch.setattr("devices.session.writer.MOST_PIXELS", 5 * pixels.nbytes)
    writer = SessionWriter(tmp_path / "s", INFO, START)
    for index in range(100):
        at = START + index
        writer.delivered(Delivery((SceneFrame(at, at, index, pixels),), at, at), at)
    outcome = writer.close()
    assert outcome.frames + outcome.lost_frames == 100
    assert outcome.lost_frames > 0 and "not play back exactly" in outcome.trouble
    device = SessionDevice(tmp_path / "s", fast=True)
    with device:
        while not device.poll().ended:
            device.clock.sleep_until(0)
        counts = device.counts().frames
    assert counts.received == 100 and counts.delivered == outcome.frames
    assert counts.dropped == {"not saved": outcome.lost_frames}


def test_a_patient_writer_waits_for_more_than_it_can_hold(tmp_path, monkeypatch):
    samples = some_samples()
    size = next(s.pixels.nbytes for s in samples if is_frame(s))
    monkeypatch.setattr("devices.session.writer.MOST_PIXELS", 2 * size)
    _, outcome = saved(tmp_path / "s", samples, every=200 * MS)  # six frames in a delivery
    assert (outcome.frames, outcome.lost_frames, outcome.trouble) == (54, 0, None)


@pytest.mark.parametrize(("fast", "frames"), [(True, "model"), (True, "whole"), (False, "model")])
def test_a_played_session_gives_the_same_answers(tiny_folder, tmp_path, monkeypatch, fast, frames):
    monkeypatch.setattr("runtime.run.work.MOST_STEPS", 99)  # however busy this machine is
    recording = draw_neon(tmp_path / "neon", parts=(75,), gaze=500).path
    session, first, again = tmp_path / "session", tmp_path / "a", tmp_path / "b"
    ask = ["--ask", "Which?", "--options", "x", "y", "--at", "1.3", "--ask", "What?", "--at", "2"]
    watch = ["--device", "recording", "--path", recording, *ask, *(["--fast"] if fast else [])]
    save = ["--session", session, "--session-frames", frames]
    assert live(tiny_folder, *watch, "--record", first, *save) == 0
    shapes = {s.pixels.shape for _, d in played(session) for s in d.samples if is_frame(s)}
    assert shapes == {(84, 112, 3) if frames == "model" else (48, 64, 3)}
    replay = ["--device", "session", "--path", session, "--fast", "--record", again]
    assert live(tiny_folder, *replay) == 0
    answers = exact(records_of(first))
    assert len(answers) == 2 and answers[1]["answer"]
    assert exact(records_of(again)) == answers


def test_a_synthetic_wearers_questions_are_played_with_their_answers(tiny_folder, tmp_path):
    session, first, again = tmp_path / "session", tmp_path / "a", tmp_path / "b"
    run = ["--device", "synthetic", "--seconds", "12", "--fast", "--seed", "2"]
    assert live(tiny_folder, *run, "--record", first, "--session", session) == 0
    replay = ["--device", "session", "--path", session, "--fast", "--record", again]
    assert live(tiny_folder, *replay) == 0
    answers = records_of(first)
    assert answers and all(record["truth"] for record in answers)
    assert exact(records_of(again)) == exact(answers)
    assert [r["truth"] for r in records_of(again)] == [r["truth"] for r in answers]


def test_a_folder_that_is_no_session(tiny_folder, tmp_path, capsys):
    assert live(tiny_folder, "--device", "session", "--path", tmp_path) == 1
    assert "not a saved session" in capsys.readouterr().err
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("x")
    run = ["--device", "synthetic", "--seconds", "1", "--fast", "--session", tmp_path / "taken"]
    assert live(tiny_folder, *run) == 1
    assert "not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"),
    [("session.json", b"{"), ("samples.jsonl", b'[1]\n["poll", 1, 2, 3, []]\n')],
)
def test_a_damaged_session(tmp_path, name, content):
    saved(tmp_path / "s", some_samples())
    (tmp_path / "s" / name).write_bytes(content)
    with pytest.raises(DeviceError, match=name):
        played(tmp_path / "s")


def interrupted(bundle, folder, sign):
    """Run in a process of its own, interrupt it after two seconds of stream; (status, seconds)."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command = [sys.executable, "-m", "runtime.live", "--bundle", str(bundle)]
    command += ["--device", "synthetic", "--record", str(folder / "out.jsonl")]
    command += ["--session", str(folder / "session"), "--ask", "What is it?", "--at", "0.5"]
    command += ["--alert", "Tell me"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    out = folder / "out.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if out.is_file() and out.read_text().count('"second"') >= 2:
            break
        time.sleep(0.02)
    process.send_signal(sign)
    sent = time.monotonic()
    printed, _ = process.communicate(timeout=30)
    return process.returncode, time.monotonic() - sent, printed


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_at_once_with_complete_records(tiny_folder, tmp_path, sign):
    folder = tmp_path / "run"
    for _ in range(3):  # a second, as long as nothing else runs: others take their share of it
        status, seconds, printed = interrupted(tiny_folder, folder, sign)
        assert status == 0
        text = (folder / "out.jsonl").read_text()
        assert text.endswith("\n")
        records = [json.loads(line) for line in text.splitlines()]
        assert records[-1]["kind"] == "summary"
        assert records[-1]["answers"] == sum(record["kind"] == "answer" for record in records)
        frames = records[-1]["frames"]
        assert frames["received"] == frames["used"] + sum(frames["dropped"].values())
        assert "frames" in printed and "received" in printed
        assert any(each.samples for _, each in played(folder / "session"))
        if seconds <= max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)):
            return
    raise AssertionError(f"the run ended {seconds:.1f} s after it was interrupted")
