"""Opening a bundle: everything in it is there, unaltered and of this format, or one clear line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from tokenizers import Tokenizer

from devices.printable import printable
from runtime.bundle.graph_file import read_graph_file
from runtime.bundle.manifest import FORMAT_VERSION, FileSpec, Manifest
from runtime.bundle.names import EMBEDDINGS_FILE, MANIFEST_FILE, TOKENIZER_FILE
from runtime.bundle.signatures import Signature
from runtime.bundle.soundness import check_soundness
from runtime.bundle.token_table import TokenTable
from runtime.bundle.verification import Verification, cache_folder
from runtime.errors import BundleError

LARGEST_MANIFEST = 1 << 24  # bytes; that of a model of 7B has a hundredth of it
COPY_AGAIN = "copy the bundle again"
LONGEST_REASON = 120  # characters of what a library says


@dataclass(frozen=True, slots=True)
class _FormatOnly:
    format: int


@dataclass(frozen=True)
class Bundle:
    """An opened bundle; what is large is read when it is first asked for."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path, rehash: bool = False) -> Bundle:
        """Read the manifest and check every file against it.

        A file is hashed once on a machine; after that its identity and times stand for it, unless
        `rehash`. Raises BundleError.
        """
        manifest = read_manifest(folder)
        _check_files(folder, manifest, rehash)
        _check_graphs(folder, manifest)
        bundle = cls(folder, manifest)
        _check_embeddings(bundle)
        return bundle

    @cached_property
    def embeddings(self) -> TokenTable:
        """The token embeddings, mapped from the file.

        Raises BundleError for a file that is no such array.
        """
        path = self.folder / EMBEDDINGS_FILE
        try:
            stored = np.load(path, mmap_mode="r")
        except Exception as error:  # whatever a header can hold
            raise BundleError(f"{path}: not an array: {_reason(error)}: {COPY_AGAIN}") from error
        return TokenTable(stored, self.manifest.geometry.decoder.width)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the text model. Raises BundleError for a file that is none."""
        path = self.folder / TOKENIZER_FILE
        try:
            tokenizer = read_tokenizer(path)
            largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        except BaseException as error:  # it raises nothing narrower, and panics beside Exception
            if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
                raise
            raise BundleError(f"{path}: no tokenizer: {_reason(error)}: {COPY_AGAIN}") from error
        if not 0 <= largest < self.manifest.geometry.decoder.vocabulary:
            raise BundleError(
                f"{path}: its largest token is {largest}, of a vocabulary of "
                f"{self.manifest.geometry.decoder.vocabulary}: export the bundle again"
            )
        return tokenizer

    @cached_property
    def text_tokenizer(self) -> Tokenizer:
        """The same for what a person says: nothing typed in it is one of the model's own marks."""
        described = msgspec.json.decode(self.tokenizer.to_str())
        return Tokenizer.from_str(msgspec.json.encode(described | {"added_tokens": []}).decode())

    def graph_path(self, graph: str) -> Path:
        """Where the graph lies."""
        return self.folder / self.manifest.graphs[graph].file


def read_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer that neither cuts nor fills what it is given, whatever its file says of that.

    Both are habits of whoever saved the file, and would take the end of a question away.
    """
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def read_manifest(folder: Path) -> Manifest:
    """Read `bundle.json`.

    Raises BundleError for one that is missing, altered, of another format, or that makes no sense.
    """
    path = folder / MANIFEST_FILE
    manifest = decode_manifest(path, _content(folder, path))
    if failed := [figure for figure in manifest.parity if not figure.holds]:
        raise BundleError(
            f"{path}: its {printable(failed[0].graph, 40)} failed the comparison with PyTorch "
            f"({printable(failed[0].case, 80)}): export it again"
        )
    check_soundness(path, manifest)
    return manifest


def decode_manifest(path: Path, content: bytes) -> Manifest:
    """The manifest in the bytes of `path`, of this format and as it was signed; else BundleError.

    What it says may still be nonsense: `check_soundness`.
    """
    try:
        version = msgspec.json.decode(content, type=_FormatOnly).format
        if version != FORMAT_VERSION:
            newer = "update this program" if version > FORMAT_VERSION else "export the bundle again"
            raise BundleError(
                f"{path}: format {version}, this program reads {FORMAT_VERSION}: {newer}"
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, RecursionError, UnicodeError, OverflowError) as error:
        raise BundleError(f"{path}: damaged: {_reason(error)}") from error
    if manifest.digest != _digest(manifest):
        raise BundleError(f"{path}: it was altered after the export: {COPY_AGAIN}")
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `bundle.json`, the last file of a bundle, in one step."""
    path = folder / MANIFEST_FILE
    partial = path.with_suffix(".partial")
    partial.write_bytes(signed_content(manifest))
    partial.replace(path)


def signed_content(manifest: Manifest) -> bytes:
    """What `bundle.json` holds: the manifest with its own digest."""
    signed = replace(manifest, digest=_digest(manifest))
    return msgspec.json.format(msgspec.json.encode(signed), indent=1)


def _content(folder: Path, path: Path) -> bytes:
    try:
        if not folder.is_dir():
            raise BundleError(f"{folder}: there is no such bundle: make one with python -m export")
        _check_inside(folder, path)
        if not path.is_file():
            raise BundleError(
                f"{folder}: no {MANIFEST_FILE}: not a bundle, or an unfinished export"
            )
        with path.open("rb") as file:
            content = file.read(LARGEST_MANIFEST + 1)
    except OSError as error:
        raise BundleError(f"{path}: can't be read: {error.strerror}") from error
    if len(content) > LARGEST_MANIFEST:
        raise BundleError(f"{path}: it has more than {LARGEST_MANIFEST} bytes: {COPY_AGAIN}")
    return content


def _digest(manifest: Manifest) -> str:
    """Of the manifest as it reads back: a whole number in a field of fractions is the same."""
    unsigned = msgspec.json.encode(replace(manifest, digest=""))
    canonical = msgspec.json.encode(msgspec.json.decode(unsigned, type=Manifest))
    return hashlib.sha256(canonical).hexdigest()


def _check_files(folder: Path, manifest: Manifest, rehash: bool) -> None:
    verification = Verification(folder, cache_folder(), rehash)
    try:
        for name, spec in manifest.files.items():
            _check_file(folder, name, spec, verification)
    finally:
        verification.keep()


def _check_file(folder: Path, name: str, spec: FileSpec, verification: Verification) -> None:
    path = folder / name
    try:
        _check_inside(folder, path)
        if not path.is_file():
            raise BundleError(f"{folder}: {name} is missing: copy the whole bundle again")
        size = path.stat().st_size
        if size != spec.size:
            raise BundleError(
                f"{folder}: {name} has {size} bytes where {spec.size} were written: "
                f"truncated or altered, {COPY_AGAIN}"
            )
        if not verification.holds(name, spec):
            raise BundleError(f"{folder}: {name} was altered: {COPY_AGAIN}")
    except OSError as error:
        raise BundleError(f"{path}: can't be read: {error.strerror}") from error


def _check_inside(folder: Path, path: Path) -> None:
    """What a bundle holds lies in it: a link out of it would be another machine's file. OSError."""
    try:
        inside = path.resolve().parent == folder.resolve()
    except RuntimeError:  # links in a circle
        inside = False
    if not inside:
        raise BundleError(f"{folder}: {path.name} is a link out of the bundle: {COPY_AGAIN}")


def _check_graphs(folder: Path, manifest: Manifest) -> None:
    """What the graphs say of themselves is what the manifest says, and all they need is hashed."""
    for graph, spec in manifest.graphs.items():
        path = folder / spec.file
        found = read_graph_file(path)
        if foreign := sorted(found.external - set(manifest.files)):
            raise BundleError(
                f"{path}: its weights lie in {printable(repr(foreign[0]), 80)}, which is none of "
                f"the bundle's files: export it again"
            )
        if Signature(found.inputs, found.outputs) != Signature(spec.inputs, spec.outputs):
            raise BundleError(
                f"{path}: its inputs and outputs are not those that {MANIFEST_FILE} gives for "
                f"{graph}: export it again"
            )


def _check_embeddings(bundle: Bundle) -> None:
    shape = bundle.manifest.geometry.decoder
    if not bundle.embeddings.holds(shape.vocabulary):
        raise BundleError(
            f"{bundle.folder / EMBEDDINGS_FILE}: no embeddings of {(shape.vocabulary, shape.width)}"
            " in floats or six bits: export the bundle again"
        )


def _reason(error: BaseException) -> str:
    return printable(str(error), LONGEST_REASON) or type(error).__name__
