"""Questions that a person types while the stream runs."""

from __future__ import annotations

import queue
import sys
import threading

from devices.clock import Clock
from runtime.capture import Capture, DueQuestion
from runtime.questions import Question


class TypedQuestions:
    """Reads lines from the terminal; each is asked at the moment its line is complete."""

    def __init__(self, capture: Capture, clock: Clock) -> None:
        self._clock = clock
        self._lines: queue.SimpleQueue[DueQuestion] = queue.SimpleQueue()
        capture.listen(self._lines)
        # A thread that waits for a line can't be woken: it ends with the process.
        threading.Thread(target=self._read, name="typed questions", daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            if line.strip():
                self._lines.put(DueQuestion(Question(line.strip()), self._clock.now()))
