"""How the tables of a coding were last written, so that they can be written again."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from runtime.bundle.opening import Bundle
from runtime.coding.ledger import CODING, CodingError
from runtime.coding.results import Coding, read_coding
from runtime.coding.source import open_source
from runtime.remote.copies import LocalCopies
from runtime.remote.urls import Location, Url, location

RECIPE_FILE = "recipe.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Paths are absolute; what lies elsewhere has its URL. `fixations`: the rule that found them,
    None for those that came along; `bids`: whether the data set of all recordings was written;
    `corrections`: None for those that lie beside the codes."""

    recording: str
    bundle: str
    fixations: str | None
    fixation_file: str | None
    unsure_below: float
    bids: bool
    corrections: str | None

    @classmethod
    def of(cls, options: argparse.Namespace, recording: Location) -> Recipe:
        """As a command line says, of one of its recordings."""
        return cls(
            _named(recording),
            str(options.bundle.resolve()),
            options.fixations,
            _resolved(options.fixation_file),
            options.unsure_below,
            options.bids,
            _resolved(options.corrections),
        )

    def write(self, folder: Path) -> None:
        """Into the folder of the coding."""
        content = msgspec.json.format(msgspec.json.encode(self), indent=1)
        (folder / RECIPE_FILE).write_bytes(content + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Recipe:
        """Of a folder of a coding. Raises CodingError."""
        path = folder / RECIPE_FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError, UnicodeError) as error:
            raise CodingError(
                f"{folder}: it does not say how it was made ({error}): give the command that coded "
                "it once more"
            ) from error

    def corrected_in(self, corrections: Path | None) -> Recipe:
        """With the corrections of another file; None leaves it as it is."""
        return self if corrections is None else replace(self, corrections=_resolved(corrections))

    def open(self, folder: Path, copies: LocalCopies) -> Coding:
        """The coding as it stands. Raises CodingError, DeviceError, BundleError, RemoteError."""
        recording = location(self.recording)
        if isinstance(recording, Path) and not recording.exists():
            raise CodingError(
                f"{folder}: its recording is no longer at {recording}: put it back there, or give "
                "the command that coded it once more, with where it is now"
            )
        settings = Bundle.open(Path(self.bundle)).manifest.settings
        given = self.fixation_file
        file = None if given is None else copies.path(location(given))
        source = open_source(copies.path(recording), settings, self.fixations, file)
        conditions = CODING.read_conditions(folder)
        if (source.read.start, source.recording_id) != (conditions.start, conditions.recording_id):
            raise CodingError(f"{folder}: another recording lies at {recording}: put it back")
        corrections = None if self.corrections is None else Path(self.corrections)
        return read_coding(folder, source, conditions, self.unsure_below, corrections)


def _resolved(place: Location | None) -> str | None:
    return None if place is None else _named(place)


def _named(place: Location) -> str:
    return place.public if isinstance(place, Url) else str(place.resolve())
