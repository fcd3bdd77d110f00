"""Containers whose tags are no text: whoever wrote them, their sound is heard."""

import wave

import numpy as np
import pytest

from devices.emulator.programmes.sound import load_sound
from runtime.server.openai.sound import decoded


@pytest.fixture
def tagged(tmp_path):
    """A WAV of a second with a title that is no UTF-8."""
    path = tmp_path / "tagged.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.full(8000, 1000, "<i2").tobytes())
    title = b"INAM" + (4).to_bytes(4, "little") + b"a\xdcb\0"
    chunk = b"LIST" + (4 + len(title)).to_bytes(4, "little") + b"INFO" + title
    content = path.read_bytes() + chunk
    path.write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])
    return path


def test_an_emulated_microphone_hears_it(tagged):
    assert load_sound(tagged).units


def test_what_a_client_sends_is_heard(tagged):
    assert decoded(tagged.read_bytes()).size > 0
