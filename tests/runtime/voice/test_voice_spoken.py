"""Spoken by a Piper voice, heard by the real recogniser: with loss, with noise, not for us.

It takes minutes: `python -m pytest tests/runtime/voice/test_voice_spoken.py --spoken -s`.
"""

from pathlib import Path

import numpy as np
import pytest
from spoken_words import QUESTIONS, errors, figures, in_turn, with_noise, write_wav

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
from runtime.server.openai.sound import RATE as API_RATE
from runtime.server.openai.sound import decoded
from runtime.voice.ears import Ears, Reactions
from runtime.voice.transcriber import Transcriber
from runtime.voice.understanding import meaning

START, SECOND = 1_700_000_000 * 10**9, 10**9
HERE = Path(__file__).parent
CHATTER = (HERE / "chatter.txt").read_text(encoding="utf-8").splitlines()


pytestmark = pytest.mark.usefixtures("speaker")


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
    sound, _ = in_turn(speaker, CHATTER, 1.0, 2.0)
    write_wav(tmp_path / "talk.wav", sound)
    track = load_sound(tmp_path / "talk.wav")
    found = heard_from(track, recognizer)
    taken = [record for record in found if record.taken_as != "nothing"]
    print(f"{track.length / SECOND / 60:.1f} min, {len(found)} heard: {[r.text for r in taken]}")
    assert track.length > 600 * SECOND
    assert len(found) > 0.8 * len(CHATTER)
    assert len(taken) <= 1
    assert all(meaning(record.text, "gaze").taken_as == "nothing" for record in found)


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


def test_a_file_of_all_questions_is_understood_for_clients_of_the_api(
    recognizer, speaker, tmp_path
):
    sound, _ = in_turn(speaker, QUESTIONS, 0.0, 1.2)
    write_wav(tmp_path / "all.wav", sound)
    transcriber = Transcriber(recognizer)
    text = transcriber.transcribe(decoded((tmp_path / "all.wav").read_bytes()), API_RATE)
    wrong, total = errors(" ".join(QUESTIONS), text.result(120))
    transcriber.close()
    print(f"{sound.size / 16_000:.1f} s in one file: {wrong} of {total} words wrong")
    assert wrong / total <= 0.1
