"""Any device, with what a microphone beside it hears among its samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.device import Delivery, Device, DeviceCounts, DeviceInfo, KnownAlert
from devices.mailbox import Mailbox
from devices.printable import printable
from devices.samples import Sound

RATE = 16_000
BLOCK = 1_600
"""Samples in a piece: a tenth of a second."""
Heard = Callable[[NDArray[np.float32], float], None]


class NoMicrophone(Exception):
    """There is none to be opened. The message says why in a few words."""


PAGE = "page"
"""The name that stands for the microphone of whoever holds the page's button."""


class Source(Protocol):
    """A microphone that is open: it hands blocks over until it is closed."""

    def close(self) -> None: ...


class _Elsewhere:
    """Nothing to be closed: what it hears comes by `MicrophoneDevice.hear`."""

    def close(self) -> None:
        pass


def expect_sound(name: str, heard: Heard) -> Source:
    """Open nothing, since the microphone is another machine's."""
    return _Elsewhere()


def open_microphone(name: str, heard: Heard) -> Source:
    """Open a microphone by (a part of) its name, "" the default one. Raises NoMicrophone.

    `heard` is called in a thread of its own with float32 mono of RATE Hz, (n,), and the seconds
    since the first of it was captured.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        reason = "pip install -e '.[microphone]'" if isinstance(error, ImportError) else str(error)
        raise NoMicrophone(reason) from error

    def called(block: NDArray[np.float32], count: int, times: object, status: object) -> None:
        # What the driver says of its clock is on some machines nothing at all.
        waited = getattr(times, "currentTime", 0.0) - getattr(times, "inputBufferAdcTime", 0.0)
        known = 0.0 < waited < 1.0
        heard(block[:, 0].copy(), waited if known else count / RATE)

    try:
        stream = sounddevice.InputStream(
            RATE, BLOCK, name or None, channels=1, dtype="float32", callback=called
        )
        stream.start()
    except (sounddevice.PortAudioError, ValueError, OSError) as error:
        raise NoMicrophone(printable(str(error), 100)) from error
    return stream


class MicrophoneDevice(Device):
    """`inner`, and the sound of a microphone on its clock. Without a microphone it says so, and
    goes on as `inner` alone."""

    def __init__(
        self,
        inner: Device,
        name: str = "",
        opener: Callable[[str, Heard], Source] = open_microphone,
    ) -> None:
        super().__init__()
        self.inner = inner
        self._name = name
        self._opener = opener
        self._mailbox = Mailbox()
        self._source: Source | None = None

    def connect(self) -> DeviceInfo:
        info = self.inner.connect()
        self.clock = self.inner.clock
        self._newest_frame = self._newest_gaze = None
        self._mailbox = Mailbox()
        try:
            self._source = self._opener(self._name, self._heard)
        except NoMicrophone as error:
            self._mailbox.note(f"no microphone ({error}): going on without voice")
            return info
        return replace(info, hears=True)

    def disconnect(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None
            self._mailbox.close()
        self.inner.disconnect()

    def counts(self) -> DeviceCounts:
        return replace(self.inner.counts(), sound=self._mailbox.counts().sound)

    @property
    def known_alert(self) -> KnownAlert | None:
        return self.inner.known_alert

    def looked_at(self, moment: int) -> str | None:
        return self.inner.looked_at(moment)

    def _collect(self) -> Delivery:
        delivery, heard = self.inner.poll(), self._mailbox.collect()
        return replace(
            delivery,
            samples=(*delivery.samples, *heard.samples),
            notices=(*delivery.notices, *heard.notices),
        )

    def hear(self, samples: NDArray[np.float32], rate: int, begins_at: int) -> None:
        """Take a piece of sound as of `Sound`; may be called from any thread."""
        self._hand_in(Sound(begins_at, self.clock.now(), rate, samples))

    def _heard(self, samples: NDArray[np.float32], waited: float) -> None:
        now = self.clock.now()
        self._hand_in(Sound(now - round(waited * NANOSECONDS), now, RATE, samples))

    def _hand_in(self, sound: Sound) -> None:
        sound.samples.flags.writeable = False
        self._mailbox.receive("sound")
        self._mailbox.hand_in(sound)
