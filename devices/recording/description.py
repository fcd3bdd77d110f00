"""What every recording format is read into, before anything is played."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.device import DeviceError
from devices.recording.tally import Loss, Tally
from devices.recording.timing import displaced
from devices.recording.video import VideoTrack
from devices.samples import Blink, Fixation, GazeSample

GAZE = "gaze samples"


@dataclass(frozen=True, slots=True, eq=False)
class GazeTrack:
    """Gaze samples in order: `times` int64 Unix ns; x, y float64 in fractions of the frame.

    `confidence`: float64 in [0, 1], None where the tracker gives none.
    """

    times: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    worn: NDArray[np.bool_]
    confidence: NDArray[np.float64] | None = None

    def sample(self, index: int) -> GazeSample:
        """One sample; a recording has no delay, so it arrives when it is captured."""
        at = int(self.times[index])
        x, y, worn = float(self.x[index]), float(self.y[index]), bool(self.worn[index])
        confidence = None if self.confidence is None else float(self.confidence[index])
        return GazeSample(at, at, x, y, worn, confidence)


@dataclass(frozen=True, slots=True, eq=False)
class RecordingDescription:
    """A recording: capture times of its frames (int64 Unix ns), their video, gaze and events.

    `fixations` are as they became known: a tracker's own each twice, open at its onset and closed
    at its end, those of a file once, at their start. `gaze_from` is None for an eye tracker's
    recording. `notices` are lines for a person; `losses` is what they count. `focal`: the scene
    camera's focal length in pixels of its frames, None where it is not known. `held` is what has
    to live as long as the files are read.
    """

    name: str
    video: VideoTrack
    frame_times: NDArray[np.int64]
    gaze: GazeTrack
    fixations: tuple[Fixation, ...] = ()
    blinks: tuple[Blink, ...] = ()
    gaze_from: str | None = None
    notices: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    focal: float | None = None
    held: object = None

    @property
    def start(self) -> int:
        """Capture time of the first frame, Unix ns."""
        return int(self.frame_times[0])

    @property
    def end(self) -> int:
        """Capture time of the last frame, Unix ns."""
        return int(self.frame_times[-1])


NO_GAZE = GazeTrack(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0, np.bool_))


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """What a tracker says of gaze, as it stands: `times` int64 Unix ns; `places` (n, 2) in pixels
    of the scene; `worn`: False where it says that there is none; `confidence` as in GazeTrack."""

    times: NDArray[np.int64]
    places: NDArray[np.floating]
    worn: NDArray[np.bool_]
    confidence: NDArray[np.float64] | None = None


def tracked_gaze(
    path: Path,
    points: Points,
    video: VideoTrack,
    frame_times: NDArray[np.int64],
    tally: Tally,
) -> GazeTrack:
    """Gaze in order of time, mapped to fractions of the frame; no number means no gaze.

    `points` is all that could be read; what could not is counted already. Raises DeviceError for
    gaze that is missing, or none of it the video's.
    """
    dated = points.times > 0
    tally.leave_out(GAZE, "without a time", np.count_nonzero(~dated))
    times = points.times[dated].astype(np.int64)
    if times.size == 0:
        raise DeviceError(f"{path}: the recording has no gaze: nothing says what was looked at")
    tally.judge(GAZE)
    order = np.argsort(times, kind="stable")
    tally.count(GAZE, "put in order of time", "", displaced(times))
    times = times[order]
    if not ((times >= frame_times[0]) & (times <= frame_times[-1])).any():
        apart = (int(times[0]) - int(frame_times[0])) / NANOSECONDS
        raise DeviceError(
            f"{path}: gaze and video do not overlap in time (gaze begins {apart:.1f} s after the "
            "video): they belong to different recordings"
        )
    places, worn = points.places[dated][order], points.worn[dated][order]
    seen = np.isfinite(places).all(axis=1)
    tally.count(GAZE, "taken as no gaze", "no number", np.count_nonzero(~seen & worn))
    fractions = np.where(seen[:, None], places, 0.0).astype(np.float64)
    fractions = fractions / (video.width, video.height)
    sure = None if points.confidence is None else points.confidence[dated][order]
    return GazeTrack(times, fractions[:, 0], fractions[:, 1], worn & seen, sure)


def tracked_fixations(
    spans: Spans,
    first: NDArray[np.floating],
    mean: NDArray[np.floating],
    video: VideoTrack,
    found: NDArray[np.int64] | None = None,
) -> tuple[Fixation, ...]:
    """A tracker's own fixations as they became known: open at the onset, closed at the end.

    `first`, `mean`: where each of those that `spans` was made from began, and its centre, in scene
    pixels (n, 2). `found`: when each was first known, Unix ns; at its onset where that is None.
    """
    known = spans.starts if found is None else np.minimum(found[spans.kept], spans.ends)
    size = video.width, video.height
    events = []
    places = (first / size)[spans.kept], (mean / size)[spans.kept]
    for start, end, at, onset, centre in zip(spans.starts, spans.ends, known, *places, strict=True):
        begin, finish = int(start), int(end)
        x, y = onset.tolist()
        events.append(Fixation(int(at), int(at), x, y, begin, None, "device"))
        x, y = centre.tolist()
        events.append(Fixation(finish, finish, x, y, begin, finish, "device"))
    return tuple(events)


def tracked_blinks(spans: Spans) -> tuple[Blink, ...]:
    """Blinks, each known at its end."""
    pairs = zip(spans.starts.tolist(), spans.ends.tolist(), strict=True)
    return tuple(Blink(end, end, start, end) for start, end in pairs)


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Events that last, in order of their start, int64 Unix ns.

    `kept`: their places among those that were written down.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    kept: NDArray[np.int64]


def whole_spans(
    noun: str,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    tally: Tally,
    *placed: NDArray[np.floating],
) -> Spans:
    """Those that end after they start and whose places (n, 2), if they have any, are numbers."""
    lasts = (ends >= starts) & (starts > 0)
    tally.leave_out(noun, "ends before it starts", np.count_nonzero(~lasts))
    known = np.ones(starts.size, bool)
    for places in placed:
        known &= np.isfinite(places).all(axis=1)
    tally.leave_out(noun, "no number", np.count_nonzero(lasts & ~known))
    kept = np.flatnonzero(lasts & known)
    kept = kept[np.argsort(starts[kept], kind="stable")]
    return Spans(starts[kept].astype(np.int64), ends[kept].astype(np.int64), kept)
