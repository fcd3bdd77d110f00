"""Questions that a person types while the stream runs."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from io import TextIOWrapper

from devices.clock import Clock
from runtime.answers.questions import Question
from runtime.run.capture import Capture, DueQuestion


def read_questions(capture: Capture, clock: Clock) -> None:
    """Read lines from the terminal; each is asked at the moment its line is complete."""

    typed = sys.stdin
    if isinstance(typed, TextIOWrapper):  # so that no byte typed ends the reading
        typed.reconfigure(errors="replace")

    def read() -> None:
        with suppress(OSError):  # the terminal is gone
            for line in typed:
                if line.strip():
                    capture.ask(DueQuestion(Question(line.strip()), clock.now()))

    # A thread that waits for a line can't be woken: it ends with the process.
    threading.Thread(target=read, name="typed questions", daemon=True).start()
