"""All files of a coding, written anew whenever codes or corrections have changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.coding.ledger import CodingError
from runtime.coding.outputs import figures, tables
from runtime.coding.outputs.bids import write_bids
from runtime.coding.outputs.report import report
from runtime.coding.outputs.tables import write
from runtime.coding.outputs.tiers import elan
from runtime.coding.results import Coding, to_be_corrected


def write_recording(coding: Coding) -> None:
    """What is of one recording, into its folder. Raises CodingError."""
    folder = coding.folder
    colours = figures.colours_of(coding)
    files: dict[str, str | bytes] = {
        "fixations_coded.csv": tables.fixations_coded(coding),
        "events.csv": tables.events(coding),
        "transitions.csv": tables.transitions(coding),
        "scarf.csv": tables.scarf(coding),
        "proposals.csv": to_be_corrected(coding),
        "coding.eaf": elan(coding),
        "scarf.svg": figures.scarf(coding, colours),
        "dwell.svg": figures.dwell_bars(coding, colours),
        "transitions.svg": figures.transition_matrix(coding),
        "report.html": report(coding),
    }
    _write_all(folder, files)


def write_together(codings: Sequence[Coding], out: Path, bids: bool) -> None:
    """What is of all recordings together. Raises CodingError."""
    files: dict[str, str | bytes] = {
        "aoi_fixations.csv": tables.aoi_fixations(codings),
        "aoi_metrics.csv": tables.aoi_metrics(codings),
        "aoi_visits.csv": tables.aoi_visits(codings),
    }
    _write_all(out, files)
    if bids:
        try:
            write_bids(codings, out / "bids")
        except OSError as error:
            raise CodingError(f"{out / 'bids'}: {error.strerror}") from error


def _write_all(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        try:
            write(folder / name, content)
        except OSError as error:
            raise CodingError(f"{folder / name}: can't be written: {error.strerror}") from error
