"""A video with a fixation file beside it, as the StreamGaze data set has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.device import DeviceError
from devices.recording.description import NO_GAZE, RecordingDescription
from devices.recording.tables import read_table
from devices.recording.video import VideoTrack, track
from devices.samples import Fixation

SUFFIX = "_fixation_filtered.csv"
EPOCH = NANOSECONDS * 946_684_800  # 2000-01-01: the moment at which such a video begins
STARTS = ("start_time_seconds", "start_time")
ENDS = ("end_time_seconds", "end_time")


def read_streamgaze(path: Path, fixations: Sequence[Path] = ()) -> RecordingDescription:
    """Read a video, and its fixations from a file or from where they lie under given roots.

    Without `fixations`, they are looked for beside the video. Raises DeviceError.
    """
    video = track([path])
    file = find_fixations(path, fixations or [path.parent])
    times = frame_times(video)
    known = read_fixations(file)
    if known[0].started_at > times[-1]:
        raise DeviceError(f"{file}: its fixations begin after the end of {path.name}")
    return RecordingDescription(
        name=f"video {path.name}",
        video=video,
        frame_times=times,
        gaze=NO_GAZE,
        fixations=known,
        gaze_from="fixation file",
    )


def frame_times(video: VideoTrack) -> NDArray[np.int64]:
    """Capture times of a video without a clock: its first frame at EPOCH, Unix ns."""
    (file,) = video.files
    seconds = (file.stamps - file.stamps[0]) * (NANOSECONDS * file.time_base.numerator)
    return EPOCH + seconds // file.time_base.denominator


def find_fixations(video: Path, places: Sequence[Path]) -> Path:
    """The fixation file of a video: one of `places`, or `<place>[/<stem>]/<stem>_...csv`."""
    name = video.stem + SUFFIX
    for place in places:
        for candidate in (place, place / name, place / video.stem / name):
            if candidate.is_file():
                return candidate
    where = ", ".join(str(place) for place in places)
    raise DeviceError(f"{video}: the recording has no gaze: no {name} in {where}")


def read_fixations(path: Path) -> tuple[Fixation, ...]:
    """The fixations of a file, in order of their start, each with its centre as a whole.

    Raises DeviceError for a missing column, values that are no numbers or lie outside the frame.
    """
    table = read_table(path)
    columns = (
        table.numbers("center_x"),
        table.numbers("center_y"),
        table.numbers(*STARTS),
        table.numbers(*ENDS),
    )
    if not table.rows:
        raise DeviceError(f"{path}: the fixation file has no rows: there is no gaze")
    fixations = []
    for line, (x, y, start, end) in enumerate(zip(*columns, strict=True), start=2):
        if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
            raise DeviceError(
                f"{path}, line {line}: the centre ({x:g}, {y:g}) lies outside [0, 1]: "
                "it must be in fractions of the frame"
            )
        if end < start or start < 0:
            raise DeviceError(f"{path}, line {line}: it lasts from {start:g} s to {end:g} s")
        began, ended = EPOCH + round(start * NANOSECONDS), EPOCH + round(end * NANOSECONDS)
        fixations.append(Fixation(began, began, x, y, began, ended, "file", whole=True))
    return tuple(sorted(fixations, key=lambda fixation: fixation.started_at))
