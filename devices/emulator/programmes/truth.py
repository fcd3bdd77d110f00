"""What a client of the emulator should have received: the frame and the gaze of every moment."""

from __future__ import annotations

from functools import cached_property

import av
import numpy as np
from numpy.typing import NDArray

from devices.emulator.programmes.programme import Programme
from devices.neon import wire


class Truth:
    """Answers what was captured at a moment (Unix ns, host) of a programme that is played."""

    def __init__(self, programme: Programme, started_at: int) -> None:
        """`started_at`: of the emulator."""
        self._programme = programme
        self._started_at = started_at
        self._pictures = np.array([picture.at for picture in programme.pictures])
        self._gaze = np.array([point.at for point in programme.gaze])

    def picture_at(self, moment: int) -> tuple[int, int]:
        """(index of the nearest picture, ns by which `moment` lies after it)."""
        return self._nearest(self._pictures, moment)

    def gaze_at(self, moment: int) -> tuple[int, int]:
        """(index of the nearest gaze point, ns by which `moment` lies after it)."""
        return self._nearest(self._gaze, moment)

    def _nearest(self, times: NDArray[np.int64], moment: int) -> tuple[int, int]:
        length = self._programme.length
        within = (moment - self._started_at) % length
        errors = (within - times + length // 2) % length - length // 2
        index = int(np.abs(errors).argmin())
        return index, int(errors[index])

    @cached_property
    def frames(self) -> list[NDArray[np.uint8]]:
        """Every picture decoded from the first to the last, uint8 RGB (height, width, 3)."""
        context = av.CodecContext.create("h264", "r")
        context.extradata = b"".join(wire.START_CODE + unit for unit in self._programme.parameters)
        frames = []
        for picture in self._programme.pictures:
            data = b"".join(wire.START_CODE + unit for unit in picture.units)
            frames += context.decode(av.Packet(data))
        frames += context.decode(None)
        return [frame.to_ndarray(format="rgb24") for frame in frames]
