"""What every recording format is read into, before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.device import DeviceError
from devices.recording.video import VideoTrack
from devices.samples import Blink, Fixation, FixationSource, GazeSample


@dataclass(frozen=True, slots=True, eq=False)
class GazeTrack:
    """Gaze samples in order: `times` int64 Unix ns; x, y float64 in fractions of the frame."""

    times: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    worn: NDArray[np.bool_]

    def sample(self, index: int) -> GazeSample:
        """One sample; a recording has no delay, so it arrives when it is captured."""
        at = int(self.times[index])
        return GazeSample(
            at, at, float(self.x[index]), float(self.y[index]), bool(self.worn[index])
        )


@dataclass(frozen=True, slots=True, eq=False)
class RecordingDescription:
    """A recording: capture times of its frames (int64 Unix ns), where they lie, gaze and events.

    Device fixations have no gaze_from; those of a file are the only gaze there is.
    """

    name: str
    video: VideoTrack
    frame_times: NDArray[np.int64]
    gaze: GazeTrack
    fixations: tuple[Fixation, ...] = ()
    blinks: tuple[Blink, ...] = ()
    gaze_from: str | None = None

    @property
    def start(self) -> int:
        """Capture time of the first frame, Unix ns."""
        return int(self.frame_times[0])

    @property
    def end(self) -> int:
        """Capture time of the last frame, Unix ns."""
        return int(self.frame_times[-1])


NO_GAZE = GazeTrack(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0, np.bool_))


def make_gaze_track(
    path: Path,
    times: NDArray[np.int64],
    pixels: NDArray[np.floating],
    worn: NDArray[np.bool_],
    size: tuple[int, int],
) -> GazeTrack:
    """Gaze in scene pixels (n, 2), mapped to fractions of a frame of `size` (width, height)."""
    if times.size == 0:
        raise DeviceError(f"{path}: the recording has no gaze: nothing says what was looked at")
    if (np.diff(times) < 0).any():
        raise DeviceError(f"{path}: gaze is not in order of time: the recording is damaged")
    seen = np.isfinite(pixels).all(axis=1)
    places = np.where(seen[:, None], pixels, 0.0).astype(np.float64) / size
    return GazeTrack(times, places[:, 0], places[:, 1], worn & seen)


def check_overlap(path: Path, frame_times: NDArray[np.int64], gaze: GazeTrack) -> None:
    """DeviceError where no gaze was captured while the camera ran."""
    if gaze.times[0] > frame_times[-1] or gaze.times[-1] < frame_times[0]:
        apart = (int(gaze.times[0]) - int(frame_times[0])) / 1e9
        raise DeviceError(
            f"{path}: gaze and video do not overlap (gaze begins {apart:.1f} s after the video): "
            "they belong to different recordings"
        )


def fixation_pair(
    start: int, end: int, first: tuple[float, float], mean: tuple[float, float]
) -> tuple[Fixation, Fixation]:
    """A device's fixation as it became known: open at its onset, whole at its end."""
    source: FixationSource = "device"
    return (
        Fixation(start, start, *first, start, None, source),
        Fixation(end, end, *mean, start, end, source),
    )
