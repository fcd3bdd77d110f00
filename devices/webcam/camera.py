"""Any V4L2 camera, through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.device import DeviceError

PLAUSIBLE_DELAY = 2 * NANOSECONDS
"""A frame that claims to be older, or to come from the future, is dated by its arrival."""


@dataclass(frozen=True, slots=True)
class CameraSource:
    """What PyAV opens: a device file and its format, or anything else that libav can read."""

    name: str = "/dev/video0"
    format: str | None = "v4l2"

    def open(self) -> InputContainer:
        """Open the camera. Raises DeviceError in one line."""
        # Absolute timestamps are when the driver captured a frame, on the wall clock.
        options = {"timestamps": "abs"} if self.format == "v4l2" else {}
        try:
            return av.open(self.name, format=self.format, options=options)
        except FileNotFoundError:
            raise DeviceError(f"there is no camera {self.name}: {_others()}") from None
        except PermissionError:
            raise DeviceError(
                f"no permission to use {self.name}: add this user to the group 'video' and log in"
                " again"
            ) from None
        except (av.FFmpegError, OSError) as error:
            raise DeviceError(
                f"{self.name} can't be opened ({error.strerror}): check that it is a camera and"
                " that no other program uses it"
            ) from None


def _others() -> str:
    present = sorted(str(path) for path in Path("/dev").glob("video*"))
    if not present:
        return "check that one is plugged in"
    return f"there are {', '.join(present)}, to be chosen with --address"


def frames(container: InputContainer) -> Iterator[tuple[int | None, NDArray[np.uint8]]]:
    """(Unix ns as the driver dates it, None where it does not; pixels as uint8 RGB).

    Ends, or raises av.FFmpegError, when the camera is gone.
    """
    for frame in container.decode(video=0):
        stamp = None
        if frame.pts is not None and frame.time_base:
            stamp = round(frame.pts * frame.time_base * NANOSECONDS)
        yield stamp, frame.to_ndarray(format="rgb24")


def captured_at(stamp: int | None, arrived_at: int) -> int:
    """The driver's capture time where it makes sense, else the arrival (Unix ns)."""
    if stamp is not None and 0 <= arrived_at - stamp <= PLAUSIBLE_DELAY:
        return stamp
    return arrived_at
