"""Spoken, sent as a phone sends it, heard, answered and spoken again: over loopback, end to end.

It takes minutes: `python -m pytest tests/runtime/voice/test_voice_loopback.py --spoken -s`.
"""

import json
import threading
import wave
from contextlib import contextmanager
from dataclasses import replace

import pytest
from spoken_words import QUESTIONS, figures, in_turn, said, with_noise, write_wav

from devices.emulator.emulator import Emulator
from devices.emulator.faults import parse_faults
from devices.emulator.phone import SpedUpClock
from devices.emulator.programmes.drawn import draw_wearer
from devices.emulator.programmes.sound import load_sound
from devices.neon.device import NeonDevice
from runtime.live import main

SPEED = 0.5  # of the phone's and of our own clock: so fast a processor that is busy keeps up
BEFORE, BETWEEN = 6.0, 6.0
EXACT = ("question", "options", "answer", "probabilities", "asked_at", "steps", "fixations")
# The text that comes on the standard input becomes a file; the program ends when there is a WAV.
SPEAK = """f=$(mktemp "$1/XXXXXX") && cat > "$f" && mv "$f" "$f.txt"
while [ ! -e "$f.wav" ]; do sleep 0.05; done
"""


pytestmark = pytest.mark.usefixtures("speaker")


@contextmanager
def speaking_into(folder, speaker):
    """Yields the command that speaks into a folder: a voice that is loaded once does it."""
    folder.mkdir()
    script = folder.with_name("speak.sh")
    script.write_text(SPEAK)
    over = threading.Event()

    def speak():
        while not over.wait(0.02):
            for path in folder.glob("*.txt"):
                part = path.with_suffix(".part")
                write_wav(part, said(speaker, path.read_text().strip()))
                path.unlink()
                part.rename(path.with_suffix(".wav"))

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        yield f"sh {script} {folder}"
    finally:
        over.set()
        thread.join()


def records_of(path, kind):
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [record for record in found if record["kind"] == kind]


def exact(path):
    return [{name: a[name] for name in EXACT} for a in records_of(path, "answer")]


def heard_live(folder, speaker, sound, faults, monkeypatch):
    """Run live on a phone whose microphone hears `sound`; records and a session in `folder`."""
    write_wav(folder / "eight.wav", sound)
    played = replace(draw_wearer(0), sound=load_sound(folder / "eight.wav"))
    clock = SpedUpClock(SPEED)
    with (
        Emulator(played, parse_faults(faults), clock=clock) as emulator,
        speaking_into(folder / "said", speaker) as command,
    ):
        address = f"{emulator.address}:{emulator.port}"
        # By UDP alone: what is lost stays lost.
        device = NeonDevice(address, transport="udp", sound=True, clock=clock)
        monkeypatch.setattr("runtime.live.open_device", lambda name, options: device)
        seconds = str(round(sound.size / 16_000))
        run = ["--device", "neon", "--listen", "--speak-with", command, "--seconds", seconds]
        # --fast: nothing is encoded but what a step or a question needs.
        saved = ["--fast", "--record", folder / "live.jsonl", "--session", folder / "session"]
        assert main([str(word) for word in (*run, *saved)]) == 0
    monkeypatch.undo()


def played_again(folder, name, *more):
    session = ["--device", "session", "--path", folder / "session", "--fast"]
    assert main([str(word) for word in (*session, "--record", folder / name, *more)]) == 0


@pytest.mark.parametrize(
    ("name", "faults", "noise"),
    [("clean", "", None), ("2 % lost", "loss=0.02", None), ("20 dB", "", 20)],
)
def test_eight_questions_end_to_end(speaker, tmp_path, monkeypatch, name, faults, noise):
    sound, _ = in_turn(speaker, QUESTIONS, BEFORE, BETWEEN)
    sound = sound if noise is None else with_noise(sound, noise)
    heard_live(tmp_path, speaker, sound, faults, monkeypatch)
    live = tmp_path / "live.jsonl"
    heard = records_of(live, "heard")
    taken = [record for record in heard if record["taken_as"] == "question"]
    whole, rate = figures([record["text"] for record in heard])
    print(f"{name}: {len(taken)} of 8 taken as questions, {whole} to the word, ", end="")
    print(f"word error rate {rate:.1%}")
    answers = records_of(live, "answer")
    assert len(answers) == len(taken)
    for answer in answers:
        assert answer["asked_at"] == answer["heard"]["ended_at"], "this machine is too busy"
    # What was heard is asked again, as if typed at those moments; and the sound is heard anew.
    played_again(tmp_path, "typed.jsonl")
    assert exact(tmp_path / "typed.jsonl") == exact(live)
    played_again(tmp_path, "anew.jsonl", "--listen")
    assert exact(tmp_path / "anew.jsonl") == exact(live)
    spoken = [r for r in records_of(live, "spoken") if r["whole"]]
    assert {r["why"] for r in spoken} == {"answer"} and len(spoken) >= len(taken)
    for path in (tmp_path / "said").glob("*.wav"):
        with wave.open(str(path)) as file:
            assert file.getnframes() > 2000
    if name == "clean":
        assert len(taken) == 8
        assert rate <= 0.1
