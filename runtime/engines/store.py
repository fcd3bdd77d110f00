"""Built TensorRT engines beside a bundle: which file was built of what, and for which machine.

An engine is loaded only if every part of its key is what this machine and this bundle need, and
its file is the one that was recorded when it was built.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from devices.printable import printable
from runtime.bundle.manifest import FileSpec, Manifest
from runtime.bundle.verification import file_spec
from runtime.engines.shape_profiles import ShapeProfile, shape_profiles
from runtime.errors import EngineError

ENGINES_FOLDER = "engines"
ANY_GPU = "any"  # built for compute capabilities, without a GPU at hand
Flavour = Literal["tensorrt", "tensorrt_rtx"]
Precision = Literal["float32", "fp16", "bf16"]
REBUILD = "build it again: python -m export.tensorrt BUNDLE"


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Everything that a built engine depends on. `shapes` and `graph_hash` are sha256."""

    graph: str
    flavour: Flavour
    version: str
    gpu: str
    capabilities: tuple[str, ...]
    precision: Precision
    shapes: str
    graph_hash: str

    @property
    def stem(self) -> str:
        """The name of its files."""
        digest = hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]
        return f"{self.graph}.{digest}"


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """What lies beside an engine. `difference`: the largest one from the graph on the CPU in
    float32, relative to its root mean square; None where it could not be measured."""

    key: EngineKey
    file: FileSpec
    difference: float | None
    parity: Literal["measured", "unmeasured"]


@dataclass(frozen=True, slots=True)
class Target:
    """What engines of this machine must have been built for."""

    flavour: Flavour
    version: str
    gpu: str
    capability: str


def graph_hash(manifest: Manifest, graph: str) -> str:
    """sha256 over the hashes of the graph and its weights."""
    file = manifest.graphs[graph].file
    parts = [spec.sha256 for name, spec in sorted(manifest.files.items()) if name.startswith(file)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def shapes_hash(profiles: Sequence[ShapeProfile]) -> str:
    """sha256 over the ranges of all inputs, profile by profile."""
    return hashlib.sha256(msgspec.json.encode(profiles, order="sorted")).hexdigest()


class EngineStore:
    """The built engines of one bundle."""

    def __init__(self, bundle: Path, manifest: Manifest) -> None:
        self.folder = bundle / ENGINES_FOLDER
        self._manifest = manifest

    def path(self, key: EngineKey) -> Path:
        """Where the engine of a key lies."""
        return self.folder / f"{key.stem}.engine"

    def save(self, key: EngineKey, engine: bytes, difference: float | None) -> EngineRecord:
        """Write an engine, then its record: without the record it does not count."""
        self.folder.mkdir(exist_ok=True)
        path = self.path(key)
        partial = path.with_suffix(".partial")
        partial.write_bytes(engine)
        partial.replace(path)
        state = "unmeasured" if difference is None else "measured"
        record = EngineRecord(key, file_spec(path), difference, state)
        content = msgspec.json.format(msgspec.json.encode(record), indent=1)
        path.with_suffix(".json").write_bytes(content)
        return record

    def built(self, key: EngineKey) -> EngineRecord | None:
        """The record of exactly this key, if its engine is there unaltered."""
        record = self._read(self.path(key).with_suffix(".json"))
        path = self.path(key)
        whole = record is not None and record.key == key and path.is_file()
        return record if whole and file_spec(path) == record.file else None

    def find(self, graph: str, target: Target) -> Path:
        """The engine of a graph for this machine.

        Raises EngineError, in one line, if there is none that fits or its file is a foreign one.
        """
        found = [self._read(path) for path in sorted(self.folder.glob(f"{graph}.*.json"))]
        reasons = []
        for record in found:
            if record is None:
                reasons.append("its record is damaged")
            elif reason := self._misfit(record.key, graph, target):
                reasons.append(reason)
            else:
                return self._checked(record)
        where = f"{self.folder}: no {target.flavour} engine of {graph} for this machine"
        raise EngineError(f"{where}{': ' + reasons[0] if reasons else ''}: {REBUILD}")

    def _checked(self, record: EngineRecord) -> Path:
        path = self.path(record.key)
        if not path.is_file() or file_spec(path) != record.file:
            raise EngineError(f"{path}: not the engine that was built here: {REBUILD}")
        return path

    def _misfit(self, key: EngineKey, graph: str, target: Target) -> str | None:
        """What of a key is not what is needed for a graph."""
        needed = {
            "name": (key.graph, graph),
            "flavour": (key.flavour, target.flavour),
            "version": (key.version, target.version),
            "graph": (key.graph_hash, graph_hash(self._manifest, graph)),
            "shapes": (key.shapes, shapes_hash(shape_profiles(self._manifest, graph))),
        }
        if key.gpu != ANY_GPU:
            needed["GPU"] = (key.gpu, target.gpu)
        for part, (has, needs) in needed.items():
            if has != needs:
                return f"built for {part} {printable(has, 40)}, needed is {needs[:40]}"
        if target.capability not in key.capabilities:
            built_for = printable(", ".join(key.capabilities), 80)
            return f"built for compute capability {built_for}, this GPU has {target.capability}"
        return None

    def _read(self, path: Path) -> EngineRecord | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=EngineRecord)
        except (OSError, msgspec.MsgspecError, RecursionError, UnicodeError):
            return None
