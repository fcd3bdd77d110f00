"""A recording to be coded: its fixations, as the maker's table has them or as they are found."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from devices.device import DeviceError, DeviceInfo
from devices.recording.centres import closed_fixations
from devices.recording.description import RecordingDescription
from devices.recording.formats import opened, recordings
from devices.recording.playback import RecordingDevice
from devices.recording.streamgaze import find_fixations
from devices.recording.trackers.cloud import FIXATION_TABLE
from devices.recording.trackers.said import read_said
from devices.samples import Fixation
from runtime.answers.session import SessionOptions, fixation_rule
from runtime.bundle.manifest import Settings
from runtime.coding import makers_table as columns
from runtime.coding.makers_table import MakersTable
from runtime.coding.work import FixationRow
from runtime.recordings.fixations import found_by
from runtime.remote.copies import LocalCopies
from runtime.remote.listing import is_folder, matching
from runtime.remote.urls import Location, Url

MILLISECOND = 1_000_000
HEADER = (
    *(columns.RECORDING, columns.NAME, columns.START, columns.END, "duration [ms]"),
    *(columns.X, columns.Y),
)


@dataclass(frozen=True, slots=True, eq=False)
class CodingSource:
    """`name`: of its folder of results. `table`: what our columns are added to; `rows`: of it that
    can be coded; `origin`: where they come from, for a person."""

    name: str
    read: RecordingDescription
    table: MakersTable
    rows: tuple[FixationRow, ...]
    origin: str
    recording_id: str

    @property
    def has_makers_table(self) -> bool:
        """Whether the table is the maker's own."""
        return self.table.path is not None


def sources(places: Sequence[Location]) -> list[Location]:
    """Every recording that lies at these places, one after the other.

    A folder here may hold many; of those elsewhere each is named, or meant by a pattern. Raises
    DeviceError, RemoteError.
    """
    found: list[Location] = []
    for path in places:
        if isinstance(path, Url):
            found += matching(path)
        elif path.is_file():
            found.append(path)
        else:
            folder, _ = opened(path)
            found += recordings(folder) or [path]
    return found


def folder_names(places: Sequence[Location]) -> list[str]:
    """A folder of results for each recording, numbered where two have one name."""
    names: list[str] = []
    for place in places:
        name = _name_of(place)
        known = len([each for each in names if each == name or each.startswith(f"{name} (")])
        names.append(f"{name} ({known + 1})" if known else name)
    return names


def _name_of(place: Location) -> str:
    if isinstance(place, Url):
        return place.name if is_folder(place) else PurePosixPath(place.name).stem
    resolved = place.resolve()
    return resolved.stem if place.is_file() else resolved.name


def located_source(
    place: Location, copies: LocalCopies, settings: Settings, options: argparse.Namespace
) -> CodingSource:
    """A recording wherever it lies, read as a command line says; it stays until the next one.

    Raises DeviceError, RemoteError.
    """
    copies.let_go()
    given = options.fixation_file
    file = None if given is None else copies.path(given)
    return open_source(copies.path(place), settings, options.fixations, file)


def open_source(
    path: Path, settings: Settings, rule: str | None, fixation_file: Path | None = None
) -> CodingSource:
    """Read a recording. `rule`: find fixations in gaze with it, whatever the tracker found.

    Raises DeviceError for what can't be read.
    """
    places = (fixation_file,) if fixation_file else ()
    device = RecordingDevice(path, fast=True, fixations=places)
    with device as device_info:
        read = device.description
    name = _name_of(path)
    identity = _recording_id(read) or name
    table, origin = None, ""
    if rule is None and (file := _makers_file(path, read, places)) is not None:
        table, origin = MakersTable.read(file), file.name
    if table is None:
        found, origin = _found(read, device_info, settings, rule)
        table = _own_table(found, identity, read)
    rows = tuple(table.rows(read.video.width, read.video.height))
    identity = next((row.recording for row in rows if row.recording), identity)
    return CodingSource(name, read, table, rows, origin, identity)


def _makers_file(path: Path, read: RecordingDescription, places: Sequence[Path]) -> Path | None:
    """The table of fixations that came with a recording; None where there is none."""
    if read.gaze_from is not None:
        return find_fixations(path, list(places) or [path.parent])
    folders = [path, read.video.files[0].path.parent]
    for folder in folders:
        file = folder / FIXATION_TABLE
        if folder.is_dir() and file.is_file() and columns.START in MakersTable.read(file).header:
            return file
    return None


def _found(
    read: RecordingDescription, info: DeviceInfo, settings: Settings, rule: str | None
) -> tuple[list[Fixation], str]:
    """The tracker's own fixations, else those that a rule finds in its gaze."""
    own = closed_fixations(read)
    if rule in (None, "device") and own:
        return own, "the tracker's own"
    if rule == "device":
        raise DeviceError(f"{info.name} has no fixations of its own: leave out --fixations device")
    chosen = rule or settings.fixation_rule
    chosen = "adaptive" if chosen == "device" else chosen
    options = SessionOptions(rule=chosen, window=settings.window, rate=1.0)
    return found_by(fixation_rule(options, settings, info), read), f"found in gaze, rule {chosen}"


def _own_table(found: Sequence[Fixation], identity: str, read: RecordingDescription) -> MakersTable:
    """A table as Neon Player exports it, of fixations that no table was found of."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for number, fixation in enumerate(found, start=1):
        end = fixation.ended_at or fixation.captured_at
        duration = round((end - fixation.started_at) / MILLISECOND)
        x, y = fixation.x * read.video.width, fixation.y * read.video.height
        place = f"{x:.3f}", f"{y:.3f}"
        writer.writerow([identity, number, fixation.started_at, end, duration, *place])
    return MakersTable.of(text.getvalue().encode("utf-8"))


def _recording_id(read: RecordingDescription) -> str | None:
    """What the phone called the recording."""
    file = read.video.files[0].path.parent / "info.json"
    try:
        known = read_said(file)["recording_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known if isinstance(known, str) and known else None
