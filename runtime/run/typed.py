"""Questions that a person types while the stream runs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper

from devices.clock import Clock
from runtime.answers.questions import Question
from runtime.run.capture import Capture, DueQuestion


def read_questions(
    capture: Capture, clock: Clock, on_empty: Callable[[], None] = lambda: None
) -> None:
    """Read lines from the terminal; each is asked at the moment its line is complete.

    `on_empty` hears of a line with nothing in it, in the thread that reads.
    """

    typed = sys.stdin
    if isinstance(typed, TextIOWrapper):  # so that no byte typed ends the reading
        typed.reconfigure(errors="replace")

    def read() -> None:
        with suppress(OSError):  # the terminal is gone
            for line in typed:
                if line.strip():
                    capture.ask(DueQuestion(Question(line.strip()), clock.now()))
                else:
                    on_empty()

    # A thread that waits for a line can't be woken: it ends with the process.
    threading.Thread(target=read, name="typed questions", daemon=True).start()
