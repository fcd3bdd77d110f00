"""A session as the live run saves it: what was delivered, and what a person asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from devices.clock import SimulatedClock
from devices.device import Delivery, Device, DeviceInfo
from devices.session import SessionWriter
from runtime.capture import DueQuestion

GIBIBYTE = 1 << 30


class Saving:
    """Saves a run in a folder; without a folder it saves nothing."""

    def __init__(
        self, folder: Path | None, device: Device, info: DeviceInfo, gibibytes: float
    ) -> None:
        """Raises DeviceError for a folder that can't be written or is not empty."""
        self._folder = folder
        self._writer: SessionWriter | None = None
        if folder is not None:
            clock = device.clock
            patient = isinstance(clock, SimulatedClock)
            limit = round(gibibytes * GIBIBYTE)
            self._writer = SessionWriter(folder, info, clock.now(), patient, limit)

    def asked(self, due: DueQuestion) -> None:
        """A person asked a question."""
        if self._writer is not None:
            question = due.question
            self._writer.asked(due.moment, question.text, question.options, question.truth)

    def delivered(self, delivery: Delivery, now: int) -> None:
        """The device delivered something at `now` (Unix ns)."""
        if self._writer is not None:
            self._writer.delivered(delivery, now)

    def close(self, notice: Callable[[str], None]) -> None:
        """Finish the files and say what is in them."""
        if self._writer is None:
            return
        saved = self._writer.close()
        size = saved.bytes / (1 << 20)
        notice(f"session {self._folder}: {saved.frames} frames, {size:.1f} MiB")
        if saved.trouble is not None:
            notice(saved.trouble)
