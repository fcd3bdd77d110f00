"""A sound in which every moment is like no other, and whether a piece of it lies where it says."""

import numpy as np

RATE = 8000
SECOND = 1_000_000_000


def chirps(seconds, rate=RATE, seed=5):
    """Band-limited noise: what is shifted by half a millisecond does not look like itself."""
    draw = np.random.default_rng(seed).normal(0, 1, round(seconds * rate))
    spectrum = np.fft.rfft(draw)
    frequencies = np.fft.rfftfreq(draw.size, 1 / rate)
    spectrum[(frequencies < 200) | (frequencies > 1500)] = 0
    sound = np.fft.irfft(spectrum, draw.size)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def likeness(sound, truth, began_at):
    """The correlation of a piece with what was sounded at its own time."""
    place = round((sound.begins_at - began_at) * sound.rate / SECOND)
    piece = truth[place : place + sound.samples.size]
    if place < 0 or piece.size < sound.samples.size:
        return None
    return float(np.corrcoef(piece, sound.samples)[0, 1])


def shift(sound, truth, began_at, most=40):
    """By how many samples a piece lies beside its time, as far as it can be found."""
    place = round((sound.begins_at - began_at) * sound.rate / SECOND)
    size = sound.samples.size
    found = {
        by: float(np.dot(truth[place + by : place + by + size], sound.samples))
        for by in range(-most, most + 1)
        if place + by >= 0 and place + by + size <= truth.size
    }
    return max(found, key=found.get)
