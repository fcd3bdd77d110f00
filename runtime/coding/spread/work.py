"""What a worker does with a recording, and where its codes and pictures go."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec

from runtime.bundle.opening import Bundle
from runtime.cluster.units import ClusterError, Parcel, Unit
from runtime.coding.coding import CodingWay, RecordingCoder
from runtime.coding.ledger import CODING, CodingConditions
from runtime.coding.source import located_source
from runtime.engines.choice import Machine
from runtime.ledger import Ledger
from runtime.model.opening import open_models
from runtime.remote.copies import LocalCopies
from runtime.remote.urls import Location

CONDITIONS = CODING.conditions_file
CODES = CODING.results_file
SKIPPED_FILE = "skipped.txt"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a worker says of itself. `version`: of this project, where it stands."""

    version: str
    bundle_digest: str
    engine: str


class CodingWork:
    """What a worker holds: a coder, and where each recording lies."""

    def __init__(
        self, options: argparse.Namespace, way: CodingWay, recordings: dict[str, Location]
    ) -> None:
        bundle = Bundle.open(options.bundle)
        models = open_models(
            options.engine, bundle, Machine.here(), threads=options.cores or 1
        ).models
        self._options, self._recordings = options, recordings
        self._settings = bundle.manifest.settings
        self._heard: Callable[[], None] = lambda: None
        self._copies = LocalCopies.of(options, lambda: self._heard())
        self._coder = RecordingCoder(models, way)
        held = Identity(version("gazeqwen-edge"), bundle.manifest.digest, models.engine_name)
        self.conditions = msgspec.json.encode(held)

    def do(self, key: str, heard: Callable[[], None]) -> Parcel:
        """Code a recording in a folder of its own."""
        began = time.perf_counter()
        self._heard = heard  # also while a recording is being copied
        source = located_source(self._recordings[key], self._copies, self._settings, self._options)
        opened = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            self._coder.code(source, folder, lambda count: heard())
            lines = (folder / CODES).read_bytes()
            files = tuple(
                (path.relative_to(folder).as_posix(), path.read_bytes())
                for path in sorted(folder.rglob("*"))
                if path.is_file() and path.name != CODES
            )
        ended = time.perf_counter()
        stages = {"opening": opened - began, "coding": ended - opened}
        return Parcel(key, lines, ended - began, stages, files)


class CodingStore:
    """The folders of all codings, written by one process as recordings come in."""

    def __init__(self, out: Path, digest: str) -> None:
        """`digest`: of the bundle that is to code."""
        self._out, self._digest, self._engine = out, digest, ""
        self.skipped: dict[str, str] = {}

    def accept(self, conditions: bytes) -> None:
        """Raises ClusterError for another version, another bundle, another engine."""
        identity = msgspec.json.decode(conditions, type=Identity)
        if identity.version != (own := version("gazeqwen-edge")):
            raise ClusterError(f"it has version {identity.version}, not {own}")
        if identity.bundle_digest != self._digest:
            raise ClusterError("it has another bundle: copy it there, or give --hand-over")
        if self._engine not in ("", identity.engine):
            raise ClusterError(f"it has engine {identity.engine}, not {self._engine}")
        self._engine = identity.engine

    def write(self, parcel: Parcel) -> None:
        """Pictures first, then codes: a coding that says of a picture has it."""
        folder = self._out / parcel.key
        files = dict(parcel.files)
        conditions = msgspec.json.decode(files.pop(CONDITIONS), type=CodingConditions)
        add_codes(folder, conditions, parcel.lines, files)

    def skip(self, unit: Unit, cause: str) -> None:
        """No code can be told of a recording that could not be opened: a file says why."""
        self.skipped[unit.key] = cause
        folder = self._out / unit.key
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / SKIPPED_FILE).write_text(cause + "\n", encoding="utf-8")
        except OSError as error:
            raise ClusterError(f"{folder}: {error.strerror}") from error


def add_codes(
    folder: Path, conditions: CodingConditions, lines: bytes, files: dict[str, bytes]
) -> None:
    """Add to a coding what it does not have yet. Raises CodingError, ClusterError."""
    ledger = Ledger(CODING, folder, conditions)
    try:
        held = {code.number for code in ledger.before}
        fresh = [c for c in CODING.decoded(folder / CODES, lines) if c.number not in held]
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        ledger.append(fresh)
    except OSError as error:
        raise ClusterError(f"{folder}: {error.strerror}: the same command goes on") from error
    finally:
        ledger.close()
