"""A bundle that goes to workers who have no path to it, checked by its hash where it arrives."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runtime.cluster.units import ClusterError


@dataclass(frozen=True, slots=True)
class Packed:
    """The files of a folder by their paths in it, and the sha256 of them all."""

    digest: str
    files: tuple[tuple[str, bytes], ...]


def packed(folder: Path) -> Packed:
    """A folder as it is handed over."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = tuple((path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths)
    return Packed(_digest(files), files)


def unpacked(given: Packed, cache: Path) -> Path:
    """Where it lies under `cache`, written there once. Raises ClusterError for an altered one."""
    if _digest(given.files) != given.digest:
        raise ClusterError("the bundle arrived altered: its sha256 is another one")
    folder = cache / f"gazeqwen-{os.getuid()}-{given.digest}"
    if folder.is_dir():
        return folder
    partial = Path(tempfile.mkdtemp(dir=cache))
    for name, content in given.files:
        path = partial / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    try:
        partial.rename(folder)
    except OSError:  # another worker of this machine was faster
        shutil.rmtree(partial)
    return folder


def _digest(files: Iterable[tuple[str, bytes]]) -> str:
    whole = hashlib.sha256()
    for name, content in files:
        whole.update(f"{name}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()
