"""A video with a fixation file beside it, as the StreamGaze data set has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.device import DeviceError
from devices.numbers import MOST_SECONDS
from devices.recording.description import NO_GAZE, RecordingDescription
from devices.recording.tables import Column, read_columns
from devices.recording.tally import Tally
from devices.recording.video import FRAMES, track
from devices.recording.video_file import VideoFile
from devices.samples import Fixation

SUFFIX = "_fixation_filtered.csv"
MOST_FIXATIONS = 1_000_000  # of one video: days of them
EPOCH = NANOSECONDS * 946_684_800  # 2000-01-01: the moment at which such a video begins

CENTER_X, CENTER_Y = Column(("center_x",)), Column(("center_y",))
START = Column(("start_time_seconds", "start_time"))
END = Column(("end_time_seconds", "end_time"))


def read_streamgaze(
    path: Path, places: Sequence[Path] = (), tally: Tally | None = None
) -> RecordingDescription:
    """Read a video, and its fixations from a file or from where they lie under given roots.

    Without `places` they are looked for beside the video. With a `tally`, a video that was cut off
    is read as far as it goes. Raises DeviceError.
    """
    video = track([path], tally)
    if tally is not None:
        tally.judge(FRAMES)
    file = find_fixations(path, places or [path.parent])
    times = frame_times(video.files[0])
    known = read_fixations(file)
    shown = fixations_shown(known, file, path, int(times[-1]))
    beyond = len(known) - len(shown)
    notice = f"{file}: {beyond} of {len(known)} fixations begin after the end of {path.name}"
    return RecordingDescription(
        name=f"video {path.name}",
        video=video,
        frame_times=times,
        gaze=NO_GAZE,
        fixations=shown,
        gaze_from="fixation file",
        notices=(notice,) if beyond else (),
    )


def fixations_shown(
    known: Sequence[Fixation], file: Path, video: Path, end: int
) -> tuple[Fixation, ...]:
    """Those of a file that begin by the video's `end` (Unix ns). Raises DeviceError for none."""
    shown = tuple(fixation for fixation in known if fixation.started_at <= end)
    if not shown:
        raise DeviceError(f"{file}: all its fixations begin after the end of {video.name}")
    return shown


def frame_times(file: VideoFile) -> NDArray[np.int64]:
    """Capture times of a video without a clock, Unix ns: its first frame at EPOCH.

    Rounded to the nearest nanosecond, as the times of a fixation file are: a fixation that begins
    at a frame must not begin after it.
    """
    return EPOCH + file.shown


def find_fixations(video: Path, places: Sequence[Path]) -> Path:
    """The fixation file of a video: one of `places`, or `<place>[/<stem>]/<stem>_...csv`.

    Raises DeviceError naming every place where it is not.
    """
    name = video.stem + SUFFIX
    looked: list[Path] = []
    for place in places:
        inside = [place / name, place / video.stem / name]
        candidates = inside if place.is_dir() else [place]
        for candidate in candidates:
            if candidate.is_file():
                return candidate
        looked += candidates
    where = ", ".join(str(place) for place in looked)
    raise DeviceError(f"{video}: no gaze for this video: there is no fixation file at {where}")


def read_fixations(path: Path) -> tuple[Fixation, ...]:
    """The fixations of a file, each known as a whole from its start, in order.

    Raises DeviceError for a column that is missing, for more rows than a video can have, and for
    rows that are no numbers, lie outside the frame, end before they start or are out of order.
    """
    columns = read_columns(path, CENTER_X, CENTER_Y, START, END)
    if len(columns[0]) > MOST_FIXATIONS:
        raise DeviceError(f"{path}: {len(columns[0])} fixations: at most {MOST_FIXATIONS} are read")
    fixations: list[Fixation] = []
    for row, (x, y, start, end) in enumerate(zip(*columns, strict=True), start=1):
        if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
            raise DeviceError(
                f"{path}, fixation {row}: its centre ({x:g}, {y:g}) lies outside [0, 1]: it must "
                "be given in fractions of the frame"
            )
        if not 0 <= start <= end <= MOST_SECONDS:
            raise DeviceError(f"{path}, fixation {row}: it lasts from {start:g} s to {end:g} s")
        began, ended = EPOCH + round(start * NANOSECONDS), EPOCH + round(end * NANOSECONDS)
        if fixations and began < fixations[-1].started_at:
            raise DeviceError(
                f"{path}, fixation {row}: it begins before the one above it: sort them by start"
            )
        place = float(x), float(y)
        fixations.append(Fixation(began, began, *place, began, ended, "file", whole=True))
    if not fixations:
        raise DeviceError(f"{path}: the fixation file has no rows: there is no gaze")
    return tuple(fixations)
