"""Which recordings are left to be coded, and what each costs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from runtime.bundle.manifest import Manifest
from runtime.cluster.units import Unit
from runtime.coding.coding import CodingWay, conditions_of
from runtime.coding.ledger import CODING
from runtime.coding.source import located_source
from runtime.coding.spread.work import CODES, CONDITIONS
from runtime.remote.copies import LocalCopies
from runtime.remote.listing import examined
from runtime.remote.urls import Location, Url


def left(
    found: dict[str, Location],
    folders: Sequence[Path],
    options: argparse.Namespace,
    way: CodingWay,
    manifest: Manifest,
) -> dict[str, Location]:
    """The recordings that are coded as a whole in none of these folders.

    Raises CodingError where one was coded differently, DeviceError for one that can't be read,
    RemoteError.
    """
    copies = LocalCopies.of(options)

    def is_whole(place: Location, folder: Path) -> bool:
        if not (folder / CODES).is_file() or not (folder / CONDITIONS).is_file():
            return False
        source = located_source(place, copies, manifest.settings, options)
        engine = CODING.read_conditions(folder).engine
        CODING.check(folder, conditions_of(manifest, engine, source, way))
        return {row.number for row in source.rows} <= {code.number for code in CODING.read(folder)}

    pending = {
        name: place
        for name, place in found.items()
        if not any(is_whole(place, folder / name) for folder in folders)
    }
    copies.let_go()
    return pending


def costs(recordings: dict[str, Location]) -> list[Unit]:
    """A unit for each recording. Its bytes are about as long as it is."""
    return [Unit(name, float(_bytes(place))) for name, place in recordings.items()]


def _bytes(place: Location) -> int:
    if isinstance(place, Url):
        return examined(place).size
    files: Sequence[Path] = [place] if place.is_file() else list(place.rglob("*"))
    return sum(each.stat().st_size for each in files if each.is_file())
