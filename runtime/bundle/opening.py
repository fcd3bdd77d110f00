"""Opening a bundle: everything in it is there, unaltered and of this format, or one clear line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from runtime.bundle.manifest import (
    EMBEDDINGS_FILE,
    FORMAT_VERSION,
    GRAPHS,
    MANIFEST_FILE,
    TOKENIZER_FILE,
    FileSpec,
    Manifest,
)
from runtime.errors import BundleError

VERIFIED_FILE = ".verified.json"  # what was hashed before, and how it looked then
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _FormatOnly:
    format: int


@dataclass(frozen=True, slots=True)
class _Appearance:
    """How a file looked when its hash was found right."""

    size: int
    changed_at: int
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """An opened bundle; what is large is read when it is first asked for."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path, rehash: bool = False) -> Bundle:
        """Read the manifest and check every file against it.

        A file is hashed once; after that its size and time of change stand for it, unless `rehash`.
        Raises BundleError.
        """
        manifest = read_manifest(folder)
        _check_files(folder, manifest, rehash)
        return cls(folder, manifest)

    @cached_property
    def embeddings(self) -> NDArray[np.floating]:
        """The token embeddings, (vocabulary, D) float32 or float16, mapped from the file."""
        return np.load(self.folder / EMBEDDINGS_FILE, mmap_mode="r")

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the text model."""
        return Tokenizer.from_file(str(self.folder / TOKENIZER_FILE))

    @cached_property
    def text_tokenizer(self) -> Tokenizer:
        """The same for what a person says: nothing typed in it is one of the model's own marks."""
        described = msgspec.json.decode((self.folder / TOKENIZER_FILE).read_bytes())
        return Tokenizer.from_str(msgspec.json.encode(described | {"added_tokens": []}).decode())

    def graph_path(self, graph: str) -> Path:
        """Where the graph lies."""
        return self.folder / self.manifest.graphs[graph].file


def read_manifest(folder: Path) -> Manifest:
    """Read `bundle.json`. Raises BundleError for one that is missing, altered or another format."""
    path = folder / MANIFEST_FILE
    if not folder.is_dir():
        raise BundleError(f"{folder}: there is no such bundle: make one with python -m export")
    if not path.is_file():
        raise BundleError(f"{folder}: no {MANIFEST_FILE}: not a bundle, or an unfinished export")
    content = path.read_bytes()
    try:
        version = msgspec.json.decode(content, type=_FormatOnly).format
    except msgspec.MsgspecError as error:
        raise BundleError(f"{path}: damaged: {error}") from error
    if version != FORMAT_VERSION:
        newer = "update this program" if version > FORMAT_VERSION else "export the bundle again"
        raise BundleError(f"{path}: format {version}, this program reads {FORMAT_VERSION}: {newer}")
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BundleError(f"{path}: damaged: {error}") from error
    if manifest.digest != _digest(manifest):
        raise BundleError(f"{path}: it was altered after the export: copy the bundle again")
    _check_complete(path, manifest)
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `bundle.json`, the last file of a bundle, in one step."""
    path = folder / MANIFEST_FILE
    partial = path.with_suffix(".partial")
    signed = replace(manifest, digest=_digest(manifest))
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(signed), indent=1))
    partial.replace(path)


def _digest(manifest: Manifest) -> str:
    """Of the manifest as it reads back: a whole number in a field of fractions is the same."""
    unsigned = msgspec.json.encode(replace(manifest, digest=""))
    canonical = msgspec.json.encode(msgspec.json.decode(unsigned, type=Manifest))
    return hashlib.sha256(canonical).hexdigest()


def file_spec(path: Path) -> FileSpec:
    """Size and hash of a file as it is now."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return FileSpec(path.stat().st_size, digest.hexdigest())


def _check_complete(path: Path, manifest: Manifest) -> None:
    if missing := [graph for graph in GRAPHS if graph not in manifest.graphs]:
        raise BundleError(f"{path}: it names no graph {', '.join(missing)}: export it again")
    needed = {EMBEDDINGS_FILE, TOKENIZER_FILE, *(spec.file for spec in manifest.graphs.values())}
    if unlisted := sorted(needed - set(manifest.files)):
        raise BundleError(f"{path}: it has no hash of {', '.join(unlisted)}: export it again")
    if failed := [figure for figure in manifest.parity if not figure.holds]:
        raise BundleError(
            f"{path}: its {failed[0].graph} failed the comparison with PyTorch "
            f"({failed[0].case}): export it again"
        )
    if escaping := [name for name in manifest.files if Path(name).name != name]:
        raise BundleError(f"{path}: {escaping[0]} does not lie in the bundle")


def _check_files(folder: Path, manifest: Manifest, rehash: bool) -> None:
    seen = {} if rehash else _read_verified(folder)
    verified = {}
    for name, spec in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{folder}: {name} is missing: copy the whole bundle again")
        state = path.stat()
        if state.st_size != spec.size:
            raise BundleError(
                f"{folder}: {name} has {state.st_size} bytes where {spec.size} were written: "
                "truncated or altered, copy the bundle again"
            )
        appearance = _Appearance(state.st_size, state.st_mtime_ns, spec.sha256)
        if seen.get(name) != appearance and file_spec(path) != spec:
            raise BundleError(f"{folder}: {name} was altered: copy the bundle again")
        verified[name] = appearance
    if verified != seen:
        _write_verified(folder, verified)


def _read_verified(folder: Path) -> dict[str, _Appearance]:
    try:
        content = (folder / VERIFIED_FILE).read_bytes()
        return msgspec.json.decode(content, type=dict[str, _Appearance])
    except (OSError, msgspec.MsgspecError):
        return {}


def _write_verified(folder: Path, verified: dict[str, _Appearance]) -> None:
    try:
        (folder / VERIFIED_FILE).write_bytes(msgspec.json.encode(verified))
    except OSError:
        return  # a bundle on a read-only medium is hashed every time
