"""By what a run hears and speaks, as far as its server has to do with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runtime.server.aloud.microphone import Hear
from runtime.server.aloud.voice import PageVoice

Transcribe = Callable[[NDArray[np.float32], int], "Future[str]"]
"""Of float32 mono (n,) and its rate in Hz; raises QueueFull where too much waits already."""


class QueueFull(Exception):
    """More sound waits to be understood than is taken."""


@dataclass(frozen=True, slots=True)
class Means:
    """`voice`: of the pages. `talk`: a button to talk goes down or up. `hear`: what a page's
    microphone hears. `transcribe`: sound to text. `speech`: a program, with its arguments, that
    speaks its standard input as WAV on its standard output. All but the first: None where there is
    none."""

    voice: PageVoice = field(default_factory=PageVoice)
    talk: Callable[[bool], None] | None = None
    hear: Hear | None = None
    transcribe: Transcribe | None = None
    speech: tuple[str, ...] | None = None
