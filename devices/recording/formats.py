"""Which kind of recording lies at a path."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from devices.device import DeviceError
from devices.recording.archives import Unpacked, unpacked
from devices.recording.centres import centre_notice
from devices.recording.description import RecordingDescription
from devices.recording.streamgaze import read_streamgaze
from devices.recording.tally import Tally
from devices.recording.trackers.cloud import is_cloud, read_cloud
from devices.recording.trackers.core import (
    is_core,
    is_core_export,
    read_core,
    read_core_export,
)
from devices.recording.trackers.glasses import is_glasses, maker_hint, read_glasses
from devices.recording.trackers.neon import native_family, read_native
from devices.recording.trackers.player import is_player_export, read_player_export

ARCHIVE = ".zip"
DEEPEST = 3  # folders above a recording in a download of many
KNOWN = (
    "give the folder of a Neon or Invisible recording, of a Pupil Cloud, Neon Player or Pupil "
    "Player export, of a Pupil Core recording or of glassesTools; a zip as downloaded; or a video "
    "file that has a fixation CSV"
)

Reader = Callable[[Path, Tally], RecordingDescription]


def describe(
    path: Path,
    fixations: Path | Sequence[Path] | None = None,
    name: str | None = None,
    strict: bool = False,
) -> RecordingDescription:
    """Read a recording of any known format; its frames are not decoded yet.

    `fixations`: for a video, its fixation file, or folders to look for it in; by default the
    video's own. `name`: which recording, where the path holds many. `strict`: refuse what can't
    be read as a whole. Raises DeviceError naming what is wrong with the recording.
    """
    places = (fixations,) if isinstance(fixations, Path) else tuple(fixations or ())
    try:
        if path.is_file() and path.suffix.lower() != ARCHIVE:
            tally = Tally(path, strict)
            return _finished(read_streamgaze(path, places, tally), tally)
        folder, held = opened(path)
        chosen = _chosen(path, recordings(folder), folder, name)
        tally = Tally(chosen if held is None else path, strict)
        read = reader_of(chosen)
        if read is None:
            raise DeviceError(f"{path}: not a recording of a known format: {KNOWN}")
        return replace(_finished(read(chosen, tally), tally), held=held)
    except OSError as error:
        raise DeviceError(f"{error.filename or path}: can't be read: {error.strerror}") from error


def opened(path: Path) -> tuple[Path, Unpacked | None]:
    """The folder at a path, and what to keep as long as its files are read. Raises DeviceError."""
    if path.is_file() and path.suffix.lower() == ARCHIVE:
        held = unpacked(path)
        return held.folder, held
    if not path.is_dir():
        raise DeviceError(f"{path}: there is no such recording")
    return path, None


def recordings(folder: Path) -> tuple[Path, ...]:
    """The recordings in a folder, by name: itself, or else all that lie in it."""
    if reader_of(folder) is not None or maker_hint(folder):
        return (folder,)
    level, found = [folder], []
    for _ in range(DEEPEST):
        below = [inner for outer in level for inner in _folders(outer)]
        found += [inner for inner in below if reader_of(inner) is not None or maker_hint(inner)]
        level = [inner for inner in below if inner not in found]
    return tuple(found)


def _folders(folder: Path) -> list[Path]:
    """Those in a folder; none in one that may not be looked into."""
    try:
        return sorted(
            inner
            for inner in folder.iterdir()
            if os.access(inner, os.R_OK | os.X_OK) and inner.is_dir()
        )
    except PermissionError:
        return []


def reader_of(folder: Path) -> Reader | None:
    """What reads the recording in a folder; None for a folder that is none itself."""
    if is_glasses(folder):
        return read_glasses
    if is_core_export(folder):
        return read_core_export
    if is_player_export(folder):
        return read_player_export
    if is_cloud(folder):
        return read_cloud
    if is_core(folder):
        return read_core
    family = native_family(folder)
    if family is not None:
        return lambda path, tally: read_native(path, family, tally)
    return None


def _chosen(path: Path, found: Sequence[Path], folder: Path, name: str | None) -> Path:
    """The one recording that is meant. Raises DeviceError for none, and for several."""
    if not any(folder.iterdir()):
        raise DeviceError(f"{path}: the folder is empty")
    if not found:
        raise DeviceError(f"{path}: not a recording of a known format: {KNOWN}")
    names = [str(each.relative_to(folder)) if each != folder else each.name for each in found]
    if name is not None:
        meant = [each for each, its in zip(found, names, strict=True) if name in (its, each.name)]
        if len(meant) != 1:
            raise DeviceError(f"{path}: no one recording {name!r} in it; there are: {_list(names)}")
        found = meant
    if len(found) > 1:
        raise DeviceError(
            f"{path}: {len(found)} recordings: say which with --recording NAME: {_list(names)}"
        )
    if hint := maker_hint(found[0]) if reader_of(found[0]) is None else None:
        raise DeviceError(hint)
    return found[0]


def _list(names: Sequence[str]) -> str:
    most = 20
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _finished(read: RecordingDescription, tally: Tally) -> RecordingDescription:
    """With what was lost, and with what does not agree."""
    lines = (*read.notices, *tally.settle(), *centre_notice(read))
    return replace(read, notices=lines, losses=tally.losses)
