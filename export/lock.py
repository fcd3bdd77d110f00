"""One export at a time in a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from export.checkpoints.common import CheckpointError

LOCK_FILE = "export.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other exports out of `folder`, which is made where there is none.

    The system lets go of the lock when the process ends, however it ends; the file alone means
    nothing. A folder that was made here and stayed empty is gone afterwards. Raises CheckpointError
    where another process holds the lock.
    """
    new = not folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    descriptor = _acquire(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before it is released: whoever waits opens a new one
        os.close(descriptor)
        if new:
            with suppress(OSError):  # it holds what was exported
                folder.rmdir()


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise CheckpointError(
                f"{path.parent}: another export is writing to this folder: wait for it, or give "
                "another --out"
            ) from error
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)  # its holder was done, and removed it, in between
