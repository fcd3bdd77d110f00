"""A session as the live run saves it: what was delivered, and what a person asked; and what was
asked in one that is played."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.clock import SimulatedClock
from devices.device import Delivery, Device, DeviceInfo
from devices.samples import KnownQuestion
from devices.session.lines import ASKED, SPOKEN, UNWATCHED, WATCHED
from devices.session.writer import SessionWriter
from runtime.answers.heard import Standing
from runtime.answers.questions import Question, known_question
from runtime.errors import RuntimeFault
from runtime.run.capture import DueQuestion
from runtime.stream.frame_timeline import resized

GIBIBYTE = 1 << 30


class Saving:
    """Saves a run in a folder; without a folder it saves nothing."""

    def __init__(
        self,
        folder: Path | None,
        device: Device,
        info: DeviceInfo,
        gibibytes: float,
        size: tuple[int, int] | None,
        notice: Callable[[str], None],
    ) -> None:
        """`size` (height, width): of the model's input, to which frames are resized as the runtime
        resizes them, so that a bundle of that size answers alike; None keeps them as they came.
        `notice` hears at once when nothing more can be saved, and at the end what was.

        Raises DeviceError for a folder that can't be written or is not empty.
        """
        self._folder = folder
        self._notice = notice
        self._trouble: str | None = None
        self._writer: SessionWriter | None = None
        if folder is not None:
            clock = device.clock
            patient = isinstance(clock, SimulatedClock)
            limit = round(gibibytes * GIBIBYTE)
            start, shrink = clock.now(), _shrinking(size)
            self._writer = SessionWriter(folder, info, start, patient, limit, shrink)

    def asked(self, due: DueQuestion) -> None:
        """A person asked a question."""
        if self._writer is None:
            return
        wish = due.question
        if isinstance(wish, Standing):
            self._writer.asked(due.moment, wish.text, task=WATCHED if wish.begins else UNWATCHED)
        else:
            task = ASKED if due.heard is None else SPOKEN
            self._writer.asked(due.moment, wish.text, wish.options, wish.truth, task)

    def delivered(self, delivery: Delivery, now: int) -> None:
        """The device delivered something at `now` (Unix ns)."""
        if self._writer is not None:
            self._writer.delivered(delivery, now)
            self._say(self._writer.trouble)

    def close(self) -> None:
        """Finish the files and say what is in them. Raises RuntimeFault if some can't be saved."""
        if self._writer is None:
            return
        saved = self._writer.close()
        size = saved.bytes / (1 << 20)
        self._notice(f"session {self._folder}: {saved.frames} frames, {size:.1f} MiB")
        if saved.is_broken:
            raise RuntimeFault(f"--session {self._folder}: {saved.trouble}")
        self._say(saved.trouble)

    def _say(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self._trouble:
            self._trouble = trouble
            self._notice(trouble)


def asked_before(sample: KnownQuestion, listens: bool) -> Question | Standing | None:
    """What a source asks itself; None for what is in its sound, too, where that is heard anew."""
    if sample.task in (SPOKEN, WATCHED, UNWATCHED) and listens:
        return None
    if sample.task in (WATCHED, UNWATCHED):
        return Standing(sample.text, sample.task == WATCHED)
    return known_question(sample)


def _shrinking(
    size: tuple[int, int] | None,
) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    if size is None:
        return lambda pixels: pixels
    height, width = size
    return lambda pixels: resized(pixels, height, width)
