"""Which files of a bundle were found unaltered before, on this machine.

Hashing gigabytes takes seconds, so a hash that was right is remembered: for this machine and for
this very file (device, inode, size, times of change), in the user's cache and never in the bundle,
so that a copy is hashed again. Where the cache can't be written, every opening hashes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import platformdirs

from runtime.bundle.manifest import FileSpec

APPLICATION = "gazeqwen-edge"
MACHINE_FILE = Path("/etc/machine-id")
CHUNK = 1 << 20
LARGEST_CACHE = 1 << 20  # bytes; a few hundred files take a tenth of that
SETTLED = 2_000_000_000  # ns without a change, after which the next one shows in a file's times


@dataclass(frozen=True, slots=True)
class Identity:
    """One file as it was when its hash was found right. Times in Unix ns of its file system."""

    device: int
    inode: int
    size: int
    modified_at: int
    changed_at: int

    @classmethod
    def of(cls, path: Path) -> Identity:
        """Of a file as it is now. Raises OSError."""
        state = path.stat()
        return cls(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class _Verified:
    identity: Identity
    sha256: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """The cache of one bundle. `machine`: whose it is."""

    machine: str
    files: dict[str, _Verified] = field(default_factory=dict)


class Verification:
    """What is known of the files of the bundle in `folder`.

    `cache`: where that is kept; None for nowhere. With `rehash` nothing known before is believed.
    `clock`: Unix ns.
    """

    def __init__(
        self,
        folder: Path,
        cache: Path | None,
        rehash: bool = False,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._folder = folder
        self._clock = clock
        place = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
        self._path = None if cache is None else cache / f"{place}.json"
        self._kept = self._read()
        self._known = {} if rehash else self._kept.files
        self._found = _Kept(machine_name())

    def holds(self, name: str, spec: FileSpec) -> bool:
        """Whether a file is what `spec` says: as is remembered, else by hashing it.

        Raises OSError for a file that can't be read.
        """
        path = self._folder / name
        before = Identity.of(path)
        verified = _Verified(before, spec.sha256)
        if self._known.get(name) == verified:
            self._found.files[name] = verified
            return True
        if file_spec(path) != spec:
            return False
        newest = max(before.modified_at, before.changed_at)
        if Identity.of(path) == before and self._clock() - newest > SETTLED:
            self._found.files[name] = verified
        return True

    def keep(self) -> None:
        """Remember what was found, and nothing else; where it can't be kept, it is found again."""
        if self._path is None or self._found == self._kept:
            return
        partial = self._path.with_suffix(f".{os.getpid()}.partial")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(msgspec.json.encode(self._found))
            partial.replace(self._path)

    def _read(self) -> _Kept:
        """What an earlier opening found; nothing if that was elsewhere or makes no sense."""
        nothing = _Kept(machine_name())
        if self._path is None:
            return nothing
        try:
            with self._path.open("rb") as file:
                kept = msgspec.json.decode(file.read(LARGEST_CACHE), type=_Kept)
        except (OSError, msgspec.MsgspecError, RecursionError, UnicodeError):
            return nothing
        return kept if kept.machine == nothing.machine else nothing


def cache_folder() -> Path | None:
    """The user's folder for what was verified (XDG on Linux); None where there is none."""
    folder = platformdirs.user_cache_path(APPLICATION, appauthor=False) / "verified"
    return folder if folder.is_absolute() else None


def machine_name() -> str:
    """What tells this machine from the one that a home folder was copied or mounted from."""
    try:
        return MACHINE_FILE.read_text(encoding="ascii").strip() or platform.node()
    except (OSError, UnicodeError):
        return platform.node()


def file_spec(path: Path) -> FileSpec:
    """Size and hash of a file as it is now. Raises OSError."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return FileSpec(size, digest.hexdigest())
