"""Speech that a test can write down: a sentence is a tone, and one knows them by their pitch."""

import numpy as np

from devices.device import Delivery
from devices.samples import Sound

SECOND, MS = 1_000_000_000, 1_000_000
START = 1_700_000_000 * SECOND
RATE = 8000
PIECE = 1024
LOWEST, STEP = 400, 60  # Hz


class Scripted:
    """Knows each sentence by its tone; `heard` counts what it was asked."""

    def __init__(self, sentences):
        self.sentences = list(sentences)
        self.heard = []

    def text(self, samples, rate):
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
        pitch = float(np.fft.rfftfreq(samples.size, 1 / rate)[spectrum.argmax()])
        number = round((pitch - LOWEST) / STEP)
        text = self.sentences[number] if 0 <= number < len(self.sentences) else ""
        self.heard.append(text)
        return text


def tone(number, seconds):
    times = np.arange(round(seconds * RATE)) / RATE
    return (0.2 * np.sin(2 * np.pi * (LOWEST + number * STEP) * times)).astype(np.float32)


def wave(spoken, seconds, noise=0.001, seed=0):
    """The sound of (sentence number, begin, end in seconds) over some noise."""
    sound = np.random.default_rng(seed).normal(0, noise, round(seconds * RATE)).astype(np.float32)
    for number, begin, end in spoken:
        piece = tone(number, end - begin)
        place = round(begin * RATE)
        sound[place : place + piece.size] += piece
    return sound


def pieces(sound, size=PIECE, start=START, lost=()):
    """The sound in pieces as a phone sends them, but for those that are `lost`."""
    found = []
    for number, place in enumerate(range(0, sound.size, size)):
        if number in lost:
            continue
        begins_at = start + place * SECOND // RATE
        piece = sound[place : place + size]
        arrived_at = begins_at + piece.size * SECOND // RATE + 10 * MS
        found.append(Sound(begins_at, arrived_at, RATE, piece))
    return found


def fed(ears, clock, sounds, until, tick=5 * MS):
    """What ears say of sounds that are delivered as they arrive, at every tick: (said, when)."""
    waiting, found = list(sounds), []
    while clock.now() < until:
        now = clock.now()
        here = tuple(sound for sound in waiting if sound.arrived_at <= now)
        waiting = waiting[len(here) :]
        found += [(said, now) for said in ears.hear(Delivery(here, now, now), now)]
        clock.sleep_until(now + tick)
    return found
