"""What is said aloud, in which order, and what silences it."""

import sys
import threading
import time

import pytest
from written_records import ALERT, FACTS, answer

from devices.clock import SystemClock
from runtime.answers.heard import Standing
from runtime.answers.listeners import Listeners, Piece
from runtime.answers.record import AlertRecord
from runtime.voice.conversation import Conversation, VoiceOptions
from runtime.voice.mouth import CommandVoice, Mouth, speaking_command
from runtime.voice.recognizer import SpeechUnavailable, open_recognizer
from runtime.voice.speaking import Speaking, alert_words, confirmation


class Gated:
    """Speaks a piece when it is let; `begun` are those that were begun."""

    def __init__(self):
        self.begun, self.let = [], threading.Semaphore(0)
        self.changed = threading.Condition()

    def say(self, text, silenced):
        with self.changed:
            self.begun.append(text)
            self.changed.notify_all()
        while not self.let.acquire(timeout=0.002):
            if silenced.is_set():
                return False
        return True

    def wait_for(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) >= count, 5), self.begun


@pytest.fixture
def aloud():
    voice, told = Gated(), []
    mouth = Mouth(voice, SystemClock(), told.append, told.append)
    yield Speaking(mouth), mouth, voice, told
    mouth.silence()
    mouth.close()


def ended(mouth):
    end = time.monotonic() + 5
    while not mouth.is_idle:
        assert time.monotonic() < end
        time.sleep(0.002)


def test_an_answer_is_spoken_from_its_first_sentence_on_while_the_rest_is_generated(aloud):
    speaking, mouth, voice, told = aloud
    for piece in ("A green", " bottle. It st", "ands"):
        speaking.hear(Piece(piece))
    voice.wait_for(1)
    assert voice.begun == ["A green bottle."]
    speaking.hear(Piece(" left."))
    speaking.hear(answer("A green bottle. It stands left."))
    voice.let.release(2)
    voice.wait_for(2)
    ended(mouth)
    assert voice.begun == ["A green bottle.", "It stands left."]
    assert [(record.text, record.whole) for record in told] == [
        ("A green bottle.", True), ("It stands left.", True),
    ]  # fmt: skip


def test_of_options_the_text_is_spoken(aloud):
    speaking, _, voice, _ = aloud
    speaking.hear(answer("B", ("a cup", "a key")))
    voice.wait_for(1)
    assert voice.begun == ["a key"]


def test_an_alert_cuts_in_and_what_it_broke_off_is_said_anew(aloud):
    speaking, mouth, voice, told = aloud
    speaking.hear(answer("A green bottle."))
    voice.wait_for(1)
    speaking.hear(AlertRecord(**FACTS, **ALERT, alert="Tell me when I look at the knife."))
    voice.wait_for(2)
    voice.let.release(2)
    ended(mouth)
    assert voice.begun == ["A green bottle.", "You look at the knife.", "A green bottle."]
    assert [(record.why, record.whole) for record in told] == [
        ("answer", False), ("alert", True), ("answer", True),
    ]  # fmt: skip


def test_silence_is_at_once_also_for_what_is_still_generated_and_again_repeats(aloud):
    speaking, mouth, voice, told = aloud
    speaking.hear(Piece("A green bottle. It"))
    voice.wait_for(1)
    speaking.silence()
    ended(mouth)
    speaking.hear(Piece(" stands left. And more."))
    speaking.hear(answer("A green bottle. It stands left. And more."))
    assert mouth.is_idle and [record.whole for record in told] == [False]
    voice.let.release(9)
    speaking.repeat()
    voice.wait_for(3)
    ended(mouth)
    assert voice.begun[1:] == ["A green bottle.", "It stands left.", "And more."]
    speaking.hear(answer("Next."))
    voice.wait_for(5)


def test_only_its_own_time_is_its_own_voice(aloud):
    _, mouth, voice, _ = aloud
    clock = SystemClock()
    before = clock.now()
    mouth.say("Hello.", "answer")
    voice.wait_for(1)
    assert mouth.is_speaking(before, clock.now()) and not mouth.is_speaking(0, before - 1)
    voice.let.release()
    ended(mouth)
    assert mouth.is_speaking(clock.now(), clock.now())
    assert not mouth.is_speaking(clock.now() + 10**9, clock.now() + 2 * 10**9)


def test_what_can_not_be_said_in_time_is_dropped_and_counted(aloud):
    _, mouth, voice, _ = aloud
    mouth.say("first", "answer")
    voice.wait_for(1)
    for number in range(20):
        mouth.say(str(number), "answer")
    assert mouth.dropped == 4


def test_words_for_alerts_and_confirmations():
    assert alert_words("Tell me when I look at the knife.") == "You look at the knife."
    assert alert_words("Alert me when my cup appears.") == "Your cup appears."
    assert alert_words("Smoke") == "Smoke"
    said = confirmation(Standing("Tell me when I am looking at my keys."))
    assert said == "I will tell you when you are looking at your keys."
    assert "no longer" in confirmation(Standing("Stop telling me.", begins=False))


def test_a_command_gets_the_text_on_its_standard_input_and_is_ended_when_silenced(tmp_path):
    out = tmp_path / "said.txt"
    write = f"import sys; open({str(out)!r}, 'w').write(sys.stdin.read())"
    assert CommandVoice((sys.executable, "-c", write)).say("Größe; $(ls) -x", threading.Event())
    assert out.read_text() == "Größe; $(ls) -x\n"
    silenced, began = threading.Event(), time.monotonic()
    threading.Timer(0.2, silenced.set).start()
    assert not CommandVoice(("sh", "-c", "sleep 30; true")).say("x", silenced)
    assert time.monotonic() - began < 10
    with pytest.raises(OSError, match="status 3"):
        CommandVoice(("sh", "-c", "exit 3")).say("x", threading.Event())


def test_no_such_command_no_such_model_no_sound_are_one_line_each_and_the_run_goes_on(tmp_path):
    with pytest.raises(SpeechUnavailable, match="no such program"):
        speaking_command("no-such-program --x")
    with pytest.raises(SpeechUnavailable, match="speak-with"):
        speaking_command("'")
    with pytest.raises(SpeechUnavailable, match="not a speech model"):
        open_recognizer(tmp_path)
    with pytest.raises(SpeechUnavailable, match="no such folder"):
        open_recognizer(tmp_path / "nowhere")
    cases = [
        (VoiceOptions(listens=True, model=tmp_path), True, "not a speech model"),
        (VoiceOptions(listens=True), False, "has no sound"),
        (VoiceOptions(speaks=True, command="no-such-program"), True, "no such program"),
    ]
    for options, hears, said in cases:
        listeners, told = Listeners(), []
        listeners.subscribe("test", lambda news, told=told: told.append(news.line))
        talk = Conversation(options, hears, SystemClock(), listeners)
        assert talk.ears is None and not talk.speaks
        (line,) = told
        assert said in line and "going on" in line and "\n" not in line
        talk.close()
