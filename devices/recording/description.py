"""What every recording format is read into, before anything is played."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.device import DeviceError
from devices.recording.video import VideoTrack
from devices.samples import Blink, Fixation, GazeSample


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
        x, y, worn = float(self.x[index]), float(self.y[index]), bool(self.worn[index])
        return GazeSample(at, at, x, y, worn)


@dataclass(frozen=True, slots=True, eq=False)
class RecordingDescription:
    """A recording: capture times of its frames (int64 Unix ns), their video, gaze and events.

    `fixations` are as they became known: a tracker's own each twice, open at its onset and closed
    at its end, those of a file once, at their start. `gaze_from` is None for an eye tracker's
    recording. `notices` are lines for a person.
    """

    name: str
    video: VideoTrack
    frame_times: NDArray[np.int64]
    gaze: GazeTrack
    fixations: tuple[Fixation, ...] = ()
    blinks: tuple[Blink, ...] = ()
    gaze_from: str | None = None
    notices: tuple[str, ...] = ()

    @property
    def start(self) -> int:
        """Capture time of the first frame, Unix ns."""
        return int(self.frame_times[0])

    @property
    def end(self) -> int:
        """Capture time of the last frame, Unix ns."""
        return int(self.frame_times[-1])


NO_GAZE = GazeTrack(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0, np.bool_))


def checked_frame_times(path: Path, times: NDArray, frames: int) -> NDArray[np.int64]:
    """One capture time for each of a video's frames. Raises DeviceError if they don't match."""
    if times.size != frames:
        raise DeviceError(
            f"{path}: {times.size} time stamps for {frames} frames: they belong to different "
            "recordings, or the recording is damaged"
        )
    if (np.diff(times) < 0).any():
        raise DeviceError(f"{path}: the frames are not in order of time: the recording is damaged")
    return times.astype(np.int64)


def tracked_gaze(
    path: Path,
    times: NDArray[np.int64],
    pixels: NDArray[np.floating],
    worn: NDArray[np.bool_],
    video: VideoTrack,
    frame_times: NDArray[np.int64],
) -> GazeTrack:
    """Gaze in scene pixels (n, 2), mapped to fractions of the frame; no number means no gaze.

    Raises DeviceError for gaze that is missing, out of order, or none of it the video's.
    """
    if times.size == 0:
        raise DeviceError(f"{path}: the recording has no gaze: nothing says what was looked at")
    if (np.diff(times) < 0).any():
        raise DeviceError(f"{path}: gaze is not in order of time: the recording is damaged")
    if not ((times >= frame_times[0]) & (times <= frame_times[-1])).any():
        apart = (int(times[0]) - int(frame_times[0])) / NANOSECONDS
        raise DeviceError(
            f"{path}: gaze and video do not overlap in time (gaze begins {apart:.1f} s after the "
            "video): they belong to different recordings"
        )
    seen = np.isfinite(pixels).all(axis=1)
    places = np.where(seen[:, None], pixels, 0.0).astype(np.float64) / (video.width, video.height)
    return GazeTrack(times.astype(np.int64), places[:, 0], places[:, 1], worn & seen)


def tracked_fixations(
    path: Path,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    first: NDArray[np.floating],
    mean: NDArray[np.floating],
    video: VideoTrack,
) -> tuple[Fixation, ...]:
    """A tracker's own fixations as they became known: open at the onset, closed at the end.

    `first`, `mean`: where each began, and its centre, in scene pixels (n, 2). Raises DeviceError
    for one that ends before it starts.
    """
    _check_spans(path, "fixation", starts, ends)
    size = video.width, video.height
    events = []
    for start, end, onset, centre in zip(starts, ends, first / size, mean / size, strict=True):
        begin, finish = int(start), int(end)
        x, y = onset.tolist()
        events.append(Fixation(begin, begin, x, y, begin, None, "device"))
        x, y = centre.tolist()
        events.append(Fixation(finish, finish, x, y, begin, finish, "device"))
    return tuple(events)


def tracked_blinks(
    path: Path, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[Blink, ...]:
    """Blinks, each known at its end. Raises DeviceError for one that ends before it starts."""
    _check_spans(path, "blink", starts, ends)
    spans = [(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]
    return tuple(Blink(end, end, start, end) for start, end in spans)


def _check_spans(path: Path, noun: str, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
    for number, (start, end) in enumerate(zip(starts, ends, strict=True), start=1):
        if end < start:
            raise DeviceError(f"{path}: {noun} {number} ends before it starts: it is damaged")
