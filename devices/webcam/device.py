"""A webcam instead of a head camera, and the mouse instead of an eye tracker."""

from __future__ import annotations

import threading
from collections.abc import Callable

import av
from av.container import InputContainer

from devices import bounds
from devices.clock import Clock, SystemClock
from devices.complaints import Complaints, reason
from devices.device import Delivery, Device, DeviceCounts, DeviceError, DeviceInfo
from devices.mailbox import Mailbox
from devices.samples import GazeSample, SceneFrame
from devices.silence import SilenceWatch
from devices.webcam.camera import CameraSource, captured_at, frames
from devices.webcam.pointer import Pointer, open_pointer

GAZE_RATE = 60
RETRY_SPACING = 0.5


class WebcamDevice(Device):
    """Frames of a camera, uint8 RGB; gaze from the mouse over a preview window, else the centre.

    DeviceInfo.gaze_from says which. Disconnecting waits for the frame that is being read.
    """

    def __init__(
        self,
        source: CameraSource | None = None,
        *,
        clock: Clock | None = None,
        pointer: Callable[[tuple[int, int]], Pointer] = open_pointer,
    ) -> None:
        """`pointer` makes the source of gaze for frames of a size (width, height)."""
        super().__init__()
        self.clock = clock or SystemClock()
        self._source = source or CameraSource()
        self._make_pointer = pointer
        self._mailbox = Mailbox()
        self._leaving = threading.Event()
        self._threads: list[threading.Thread] = []
        self._index = 0
        self._heard_at = 0

    def connect(self) -> DeviceInfo:
        if self._threads:
            raise DeviceError("this device is connected already: disconnect it first")
        container = self._source.open()
        if not container.streams.video:
            container.close()
            raise DeviceError(f"{self._source.name} has no video: choose a camera")
        stream = container.streams.video[0]
        size = stream.codec_context.width, stream.codec_context.height
        if not bounds.is_size(*size):
            container.close()
            raise DeviceError(
                f"{self._source.name} says that its pictures have {size[0]} x {size[1]} pixels:"
                " choose another camera"
            )
        rate = stream.average_rate
        self._mailbox = Mailbox()
        self._newest_frame = self._newest_gaze = None
        self._leaving.clear()
        self._index, self._heard_at = 0, self.clock.now()
        self._pointer = self._make_pointer(size)
        self._threads = [
            threading.Thread(target=self._film, args=(container,), name="webcam", daemon=True),
            threading.Thread(target=self._point, name="webcam-gaze", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        return DeviceInfo(
            name=f"webcam {self._source.name}",
            frame_width=size[0],
            frame_height=size[1],
            frame_rate=float(rate) if rate else None,
            gaze_rate=float(GAZE_RATE),
            gaze_from=self._pointer.kind,
        )

    def disconnect(self) -> None:
        if self._threads:
            self._leaving.set()
            for thread in self._threads:
                thread.join()
            self._threads.clear()
            self._pointer.close()
            self._mailbox.close()

    def counts(self) -> DeviceCounts:
        return self._mailbox.counts()

    def _collect(self) -> Delivery:
        if not self._threads:
            raise DeviceError("this device is not connected: connect it first")
        return self._mailbox.collect()

    def _film(self, container: InputContainer | None) -> None:
        """Read frames until the device is left; a camera that is gone is opened again."""
        faults = Complaints(self._mailbox.note)
        while not self._leaving.is_set():
            try:
                if container is None:
                    container = self._source.open()
                self._read(container)
            except (av.FFmpegError, DeviceError):
                pass  # the silence is told; what matters here is to try again
            except Exception as error:
                faults.add(f"webcam: {reason(error)}; opening it again", self.clock.now())
            if container is not None:
                container.close()
                container = None
            self._leaving.wait(RETRY_SPACING)
        if container is not None:
            container.close()

    def _read(self, container: InputContainer) -> None:
        for stamp, pixels in frames(container):
            if self._leaving.is_set():
                return
            arrived_at = self._heard_at = self.clock.now()
            self._mailbox.receive("frames")
            moment = captured_at(stamp, arrived_at)
            self._mailbox.hand_in(SceneFrame(moment, arrived_at, self._index, pixels))
            self._index += 1
            self._pointer.show(pixels)

    def _point(self) -> None:
        """Gaze at a steady rate, and an eye on the camera's silence."""
        silence = SilenceWatch(self._mailbox)
        faults = Complaints(self._mailbox.note)
        while not self._leaving.wait(1 / GAZE_RATE):
            now = self.clock.now()
            try:
                position = self._pointer.position()
            except Exception as error:
                faults.add(f"gaze by {self._pointer.kind}: {reason(error)}", now)
                continue
            finally:
                silence.look("frames", "webcam", self._heard_at, self._heard_at, now)
            x, y = position or (0.5, 0.5)
            self._mailbox.receive("gaze")
            self._mailbox.hand_in(GazeSample(now, now, x, y, worn=position is not None))
