"""Pupil Core: gaze, fixations and scene frames from Pupil Capture or Pupil Service."""

from __future__ import annotations

from concurrent.futures import TimeoutError as FrameMissing
from typing import TYPE_CHECKING

from devices.address import split_address
from devices.clock import Clock, SystemClock
from devices.core.messages import LEAST_CONFIDENCE
from devices.device import Delivery, Device, DeviceCounts, DeviceError, DeviceInfo
from devices.mailbox import Mailbox

if TYPE_CHECKING:
    from devices.core.listening import Listener

REQUEST_PORT = 50020
ADVICE = (
    "check that Pupil Capture is open on that computer, that its Network API plugin is on, that "
    "the address is right, that both are on the same network, and that no firewall blocks it"
)


class CoreDevice(Device):
    """Pupil Core. Frames are uint8 RGB; gaze carries Capture's confidence."""

    def __init__(
        self,
        address: str | None = None,
        port: int | None = None,
        *,
        confidence: float = LEAST_CONFIDENCE,
        clock: Clock | None = None,
    ) -> None:
        """`address`: of the computer on which Capture runs, None for this one, or "host:port";
        `port`: of Capture's requests, 50020 unless given. `confidence`: gaze below it is none.
        Raises DeviceError for an address that can't be read.
        """
        super().__init__()
        self.clock = clock or SystemClock()
        self._address, self._port = split_address(address or "127.0.0.1", port or REQUEST_PORT)
        self._confidence = confidence
        self._mailbox = Mailbox()
        self._listener: Listener | None = None

    def connect(self) -> DeviceInfo:
        """Ask Capture where it publishes and wait for its first frame. Raises DeviceError."""
        if self._listener is not None:
            raise DeviceError("this device is connected already: disconnect it first")
        try:
            from devices.core.connection import CaptureSilent
            from devices.core.listening import Listener
        except ImportError:
            raise DeviceError(
                "Pupil Core needs pyzmq and msgpack: pip install 'gazeqwen-edge[core]'"
            ) from None
        self._mailbox = Mailbox()
        self._newest_frame = self._newest_gaze = None
        self._listener = Listener(
            self._address, self._port, self._mailbox, self.clock, self._confidence
        )
        try:
            width, height = self._listener.start()
        except CaptureSilent as error:
            self.disconnect()
            where = f"{self._address}:{self._port}"
            raise DeviceError(f"no Pupil Capture at {where} ({error}): {ADVICE}") from None
        except FrameMissing:
            self.disconnect()
            raise DeviceError(
                "Pupil Capture answers but sends no scene frames: check that a world camera is "
                "selected in it and that its Frame Publisher plugin is on"
            ) from None
        return DeviceInfo("Pupil Core", width, height, None, None, detects_fixations=True)

    def disconnect(self) -> None:
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
            self._mailbox.close()

    def counts(self) -> DeviceCounts:
        return self._mailbox.counts()

    def _collect(self) -> Delivery:
        if self._listener is None:
            raise DeviceError("this device is not connected: connect it first")
        return self._mailbox.collect()
