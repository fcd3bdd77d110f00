"""The scene video of a recording in parts: which of its frames have a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.device import DeviceError
from devices.recording.tally import Tally
from devices.recording.timing import in_order, paired
from devices.recording.video import FRAMES, VideoTrack, track
from devices.recording.video_file import VideoFile


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A video's frames that have a time, and their capture times, int64 Unix ns, in order."""

    video: VideoTrack
    times: NDArray[np.int64]


def scene_of(
    path: Path, files: Sequence[Path], times: Sequence[NDArray[np.int64]], tally: Tally
) -> Scene:
    """The frames of some video files and their time stamps, file by file.

    Where there are more of one than of the other those that belong together are used. Frames out of
    order, of the time of an earlier file, or of a file that can't be read are left out; all is
    counted. Raises DeviceError where no file can be read.
    """
    parts: list[VideoFile] = []
    chosen: list[NDArray[np.int64]] = []
    kept: list[NDArray[np.int64]] = []
    before, end = 0, None
    for place, (file, stamps) in enumerate(zip(files, times, strict=True)):
        try:
            (part,) = track([file], tally).files
        except DeviceError as error:
            if place == len(files) - 1 and not parts:
                raise
            tally.expect(FRAMES, stamps.size)
            tally.leave_out(FRAMES, str(error), stamps.size)
            continue
        numbers, part_times = _timed(part, stamps, tally)
        if end is not None:
            later = part_times > end
            cause = f"of {file.name}, of a time that the part before it covers"
            tally.leave_out(FRAMES, cause, np.count_nonzero(~later))
            numbers, part_times = numbers[later], part_times[later]
        parts.append(part)
        chosen.append(numbers + before)
        kept.append(part_times)
        before += part.count
        end = int(part_times[-1]) if part_times.size else end
    _check_sizes(parts)
    tally.judge(FRAMES)
    all_times = np.concatenate(kept)
    if all_times.size == 0:
        raise DeviceError(f"{path}: none of its frames has a time stamp: the recording is damaged")
    return Scene(VideoTrack(tuple(parts)).only(np.concatenate(chosen)), all_times)


def _timed(
    file: VideoFile, stamps: NDArray[np.int64], tally: Tally
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of a file's frames that have a time, and those times."""
    which, numbers = paired(stamps, file.shown)
    dated = stamps[which] > 0
    which, numbers = which[dated], numbers[dated]
    tally.leave_out(FRAMES, f"of {file.path.name} without a time stamp", file.count - numbers.size)
    # Stamps of frames that are known to be cut off are no news; others belong to frames, too.
    spare = max(0, stamps.size - file.count - file.cut_off)
    tally.expect(FRAMES, spare)
    tally.leave_out(FRAMES, f"missing in {file.path.name}, though they have a time stamp", spare)
    ordered = in_order(stamps[which])
    cause = f"of {file.path.name}, their time stamps out of order"
    tally.leave_out(FRAMES, cause, which.size - ordered.size)
    return numbers[ordered], stamps[which][ordered]


def _check_sizes(parts: Sequence[VideoFile]) -> None:
    for part in parts[1:]:
        if (part.width, part.height) != (parts[0].width, parts[0].height):
            raise DeviceError(f"{part.path}: its frames are not of the size of {parts[0].path}")
