"""One recogniser for those who listen and those who send sound: it hears one thing at a time."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from devices.samples import Sound
from runtime.priority import be_nice
from runtime.server.aloud.means import QueueFull
from runtime.voice.recognizer import Recognizer
from runtime.voice.segments import LONGEST, Segmenter

MOST_WAITING = 4
"""Sounds of others that wait."""
LEAD = 0.5
"""Seconds of silence before a long sound, so that its first word stands out from the noise."""
PAUSE = 0.7


class Transcriber:
    """A recogniser (`text`) for any thread. Long sound is cut where nobody speaks, so that a
    question is never behind more than one such piece."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, "transcriber", initializer=be_nice)
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)

    def text(self, samples: NDArray[np.float32], rate: int) -> str:
        """As of `Recognizer`."""
        with self._lock:
            return self._recognizer.text(samples, rate)

    def transcribe(self, samples: NDArray[np.float32], rate: int) -> Future[str]:
        """What is said in `samples` (float32 mono, (n,)), however long. Raises QueueFull."""
        if not self._waiting.acquire(blocking=False):
            raise QueueFull(f"{MOST_WAITING} sounds wait already: send it again in a moment")
        text = self._pool.submit(self._whole, samples, rate)
        text.add_done_callback(lambda done: self._waiting.release())
        return text

    def close(self) -> None:
        """What waits is given up."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _whole(self, samples: NDArray[np.float32], rate: int) -> str:
        if samples.size <= LONGEST * rate:
            return self.text(samples, rate) if samples.size else ""
        segmenter = Segmenter(PAUSE)
        silence = np.zeros(round(LEAD * rate), np.float32)
        turns = segmenter.feed(Sound(0, 0, rate, np.concatenate((silence, samples))))
        said = (turn.utterance for turn in (*turns, *segmenter.finish()) if turn.kind == "ended")
        return " ".join(self.text(each.samples, rate) for each in said if each is not None)
