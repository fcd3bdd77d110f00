"""A folder of copies of at most so many bytes, as far as sizes are told; processes share it.

Each copy is an entry: a folder of its key with the copy, its bytes, and a file whose lock says what
is done with it: exclusive while it is made or removed, shared while it is read. Locks go with their
process, however that ends. Whoever takes one holds the folder's own lock for that moment.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.remote.urls import RemoteError

GIBIBYTE = 1 << 30
POLL = 0.5  # seconds between looks for room
PATIENCE = 1800.0  # seconds that others may use all the room


class Held:
    """A copy that stays as long as this is held."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path, self._lock = path, lock

    def release(self) -> None:
        """It may go from now on."""
        os.close(self._lock)


class BoundedCache:
    """Copies of at most `limit` bytes together; those used longest ago go first."""

    def __init__(
        self,
        folder: Path,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder, self._limit = folder, limit
        self._clock, self._sleep = clock, sleep

    def held(
        self,
        key: str,
        size: int,
        make: Callable[[Path], None],
        heard: Callable[[], None] = lambda: None,
    ) -> Held:
        """The entry of a key, made by `make` in an empty folder if it is not there.

        `size`: bytes that it will have. While others make it, or use all the room, it is waited
        for; `heard` is called meanwhile. Raises RemoteError for what does not fit, OSError.
        """
        if size > self._limit:
            raise RemoteError(
                f"{_gibibytes(size)} do not fit into the {_gibibytes(self._limit)} of copies in "
                f"{self._folder}: give a larger --cache-size"
            )
        until = self._clock() + PATIENCE
        while (lock := self._claim(key, size)) is None:
            if self._clock() > until:
                raise RemoteError(
                    f"{self._folder}: others use all its room, or do not get on with a copy: "
                    "give a larger --cache-size"
                )
            heard()
            self._sleep(POLL)
        copy = self._folder / key / "copy"
        if not copy.exists():
            self._make(key, make, lock)
        return Held(copy, lock)

    def _claim(self, key: str, size: int) -> int | None:
        """The lock of an entry, shared if its copy is there, else exclusive; None: not now."""
        with self._deciding():
            entry = self._folder / key
            is_new = not (entry / "size").exists()
            if is_new and not self._make_room(size):
                return None
            entry.mkdir(exist_ok=True)
            lock = os.open(entry / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            wanted = fcntl.LOCK_SH if (entry / "copy").exists() else fcntl.LOCK_EX
            if not _locked(lock, wanted):
                os.close(lock)
                return None
            if is_new:
                _write_size(entry, size)
            os.utime(entry / "lock")
            return lock

    def _make(self, key: str, make: Callable[[Path], None], lock: int) -> None:
        """Make a copy whole or not at all; its lock becomes a shared one."""
        entry = self._folder / key
        partial = entry / "partial"
        try:
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
            partial.mkdir()
            make(partial)
            found = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
            with self._deciding():
                _write_size(entry, found)  # where not all sizes were told before
                partial.rename(entry / "copy")
                _locked(lock, fcntl.LOCK_SH)
        except BaseException:
            with self._deciding():
                shutil.rmtree(entry, ignore_errors=True)
            os.close(lock)
            raise

    def _make_room(self, size: int) -> bool:
        """Remove what nobody uses until there is room; whether there is."""
        entries = [path for path in self._folder.iterdir() if (path / "size").is_file()]
        used = sum(_read_size(entry) for entry in entries)
        for entry in sorted(entries, key=_used_at):
            if used + size <= self._limit:
                break
            lock = os.open(entry / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            if _locked(lock, fcntl.LOCK_EX):
                used -= _read_size(entry)
                shutil.rmtree(entry, ignore_errors=True)
            os.close(lock)
        return used + size <= self._limit

    @contextmanager
    def _deciding(self) -> Iterator[None]:
        """While nobody else changes which entries there are, and who has them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _locked(lock: int, how: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(lock, how | fcntl.LOCK_NB)
        return True
    return False


def _used_at(entry: Path) -> float:
    return (entry / "lock").stat().st_mtime if (entry / "lock").exists() else 0.0


def _read_size(entry: Path) -> int:
    text = (entry / "size").read_text()
    return int(text) if text.isdecimal() else 0


def _write_size(entry: Path, size: int) -> None:
    (entry / "size").write_text(str(size))


def _gibibytes(size: int) -> str:
    return f"{size / GIBIBYTE:.3g} GiB"
