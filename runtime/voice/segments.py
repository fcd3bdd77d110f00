"""Sound cut into utterances by its loudness: where speech begins, pauses, and has ended.

Everything is decided by the sound alone, in windows counted from its first sample, so that it comes
out alike however the sound was delivered.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.samples import Sound

WINDOWS_PER_SECOND = 50
ABOVE_NOISE, QUIETEST = 9.0, -52.0
"""Decibels: a voice is so much above the noise, and never below so much of full scale."""
NOISE_SECONDS, NOISE_SHARE = 8, 0.1
"""The noise is what a tenth of the last seconds' windows does not exceed."""
SHORTEST = 0.2
"""Seconds of voice, below which it is a click."""
MARGIN = 0.25
"""Seconds kept before and after the voice."""
DRAFT_AFTER = 0.3
"""Seconds of silence after which it is worth while to look what was said."""
LONGEST = 20.0
"""Seconds of an utterance; what is longer is cut there."""
JITTER = NANOSECONDS // 30
"""By which a piece may lie beside the end of the one before and still follow it."""
MOST_FILLED = NANOSECONDS
"""A hole up to that long is filled with silence; after a longer one everything begins anew."""


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Speech between two silences: when its voice began and ended (Unix ns), and its sound, float32
    mono with MARGIN around. `number` counts them; `too_long`: it was cut, and is not whole."""

    number: int
    began_at: int
    ended_at: int
    rate: int
    samples: NDArray[np.float32]
    too_long: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """What became of an utterance: it pauses (it may be over), goes on, is over."""

    kind: Literal["paused", "resumed", "ended"]
    utterance: Utterance | None = None


class Segmenter:
    """Takes sound in order of capture. `pause`: seconds of silence that end an utterance."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._rate = 0
        self._number = 0
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._next_at: int | None = None
        self._rest = np.zeros(0, np.float32)
        self._rest_at = 0
        self._levels: deque[float] = deque(maxlen=NOISE_SECONDS * WINDOWS_PER_SECOND)
        self._recent: deque[NDArray[np.float32]] = deque(
            maxlen=round(MARGIN * WINDOWS_PER_SECOND) + 3
        )
        self._flags: deque[bool] = deque(maxlen=5)
        self._kept: list[NDArray[np.float32]] | None = None
        self._voiced = self._silent = 0
        self._began_at = self._voiced_until = 0
        self._is_draft = False

    @property
    def reached(self) -> int | None:
        """Up to when (Unix ns) the sound has been looked at; None before any."""
        return self._next_at

    @property
    def voiced_until(self) -> int | None:
        """Up to when somebody has spoken who may go on; None in silence."""
        return self._voiced_until if self._kept is not None else None

    @property
    def spoken_for(self) -> float:
        """Seconds since the present utterance began; 0 in silence."""
        if self._kept is None:
            return 0.0
        return (self._voiced_until - self._began_at) / NANOSECONDS

    def feed(self, sound: Sound) -> list[Turn]:
        """Take the next piece."""
        turns: list[Turn] = []
        if sound.rate != self._rate or self._next_at is None:
            turns += self.finish()
            self._begin_anew()
            self._rate, self._next_at = sound.rate, sound.begins_at
        missing = sound.begins_at - self._next_at
        if missing < -JITTER:
            return turns  # sound of a time that was heard already
        if missing > MOST_FILLED:
            turns += self.finish()
            self._begin_anew()
        elif missing > JITTER:
            hole = np.zeros(missing * sound.rate // NANOSECONDS, np.float32)
            turns += self._take(hole, self._next_at, is_hole=True)
        turns += self._take(sound.samples, sound.begins_at)
        self._next_at = sound.captured_at
        return turns

    def finish(self) -> list[Turn]:
        """No sound follows: what was said so far is all of it."""
        if self._kept is None:
            return []
        turns = [self._turn("ended")] if self._is_speech() else []
        self._drop()
        return turns

    def _take(
        self, samples: NDArray[np.float32], begins_at: int, is_hole: bool = False
    ) -> list[Turn]:
        size = self._rate // WINDOWS_PER_SECOND
        begins_at -= self._rest.size * NANOSECONDS // self._rate
        joined = np.concatenate((self._rest, samples))
        turns: list[Turn] = []
        whole = joined.size // size * size
        for start in range(0, whole, size):
            ended_at = begins_at + (start + size) * NANOSECONDS // self._rate
            turns += self._look(joined[start : start + size], ended_at, is_hole)
        self._rest = joined[whole:].copy()
        return turns

    def _look(self, window: NDArray[np.float32], ended_at: int, is_hole: bool) -> list[Turn]:
        level = 10 * float(np.log10(np.mean(window.astype(np.float64) ** 2) + 1e-10))
        if not is_hole:
            self._levels.append(level)
        noise = float(np.quantile(self._levels, NOISE_SHARE)) if self._levels else QUIETEST
        is_loud = not is_hole and level > max(noise + ABOVE_NOISE, QUIETEST)
        self._flags.append(is_loud)
        self._recent.append(window)
        if self._kept is None:
            if is_loud and sum(self._flags) >= 3:
                self._kept = list(self._recent)
                self._began_at = ended_at - 3 * NANOSECONDS // WINDOWS_PER_SECOND
                self._voiced, self._silent, self._voiced_until = 3, 0, ended_at
            return []
        self._kept.append(window)
        return self._follow(is_loud, ended_at)

    def _follow(self, is_loud: bool, ended_at: int) -> list[Turn]:
        turns: list[Turn] = []
        if is_loud:
            if self._is_draft:
                turns.append(Turn("resumed"))
            self._is_draft = False
            self._voiced, self._silent, self._voiced_until = self._voiced + 1, 0, ended_at
        else:
            self._silent += 1
        if not self._is_draft and self._silent >= round(DRAFT_AFTER * WINDOWS_PER_SECOND):
            if not self._is_speech():
                self._drop()
                return turns
            self._is_draft = True
            turns.append(self._turn("paused"))
        if self._silent >= round(self._pause * WINDOWS_PER_SECOND):
            turns.append(self._turn("ended"))
            self._drop()
        elif self.spoken_for > LONGEST:
            turns += self.cut(too_long=True)
        return turns

    def cut(self, too_long: bool = False) -> list[Turn]:
        """End the present utterance here, though somebody may still speak."""
        if self._kept is None:
            return []
        turns = [self._turn("ended", too_long)] if self._is_speech() else []
        self._drop()
        return turns

    def _is_speech(self) -> bool:
        return self._voiced >= round(SHORTEST * WINDOWS_PER_SECOND)

    def _turn(self, kind: Literal["paused", "resumed", "ended"], too_long: bool = False) -> Turn:
        windows = self._kept or []
        spare = max(0, self._silent - round(MARGIN * WINDOWS_PER_SECOND))
        samples = np.concatenate(windows[: len(windows) - spare])
        times = self._began_at, self._voiced_until
        return Turn(kind, Utterance(self._number, *times, self._rate, samples, too_long))

    def _drop(self) -> None:
        self._kept, self._is_draft = None, False
        self._voiced = self._silent = 0
        self._number += 1
        self._flags.clear()
