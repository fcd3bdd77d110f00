"""Which kind of recording lies at a path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from devices.device import DeviceError
from devices.recording.cloud import is_cloud, read_cloud
from devices.recording.description import RecordingDescription
from devices.recording.neon import is_neon, read_neon
from devices.recording.streamgaze import read_streamgaze


def describe(path: Path, fixations: Path | Sequence[Path] | None = None) -> RecordingDescription:
    """Read a recording of any known format; its frames are not decoded yet.

    `fixations`: for a video, its fixation file, or folders to look for it in; by default the
    video's own. Raises DeviceError naming what is wrong with the recording.
    """
    places = (fixations,) if isinstance(fixations, Path) else tuple(fixations or ())
    try:
        return _read(path, places)
    except OSError as error:
        raise DeviceError(f"{error.filename or path}: can't be read: {error.strerror}") from error


def _read(path: Path, places: Sequence[Path]) -> RecordingDescription:
    if path.is_file():
        return read_streamgaze(path, places)
    if not path.is_dir():
        raise DeviceError(f"{path}: there is no such recording")
    if not any(path.iterdir()):
        raise DeviceError(f"{path}: the folder is empty")
    if is_cloud(path):
        return read_cloud(path)
    if is_neon(path):
        return read_neon(path)
    raise DeviceError(
        f"{path}: not a recording of a known format: give a Neon recording's folder, the folder of "
        "a Pupil Cloud export, or a video file that has a fixation CSV"
    )
