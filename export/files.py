"""Files that are written plainly, are on the disk when they have their name, and name their errors.

Nothing is written through a mapping: on a full disk that ends the process with a bus error.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runtime.bundle import names

PARTIAL = ".writing"  # how the name of a file ends that is being written
TABLES = (names.EMBEDDINGS_FILE, names.TOKENIZER_FILE)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Give an OSError that names no file, as those of a full disk do, the name of `path`."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        code = error.errno or errno.EIO
        raise OSError(code, error.strerror or str(error), str(path)) from error


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A new file to write to, which takes the place of `path` when it is whole and on the disk.

    Where it is left with an error nothing of it stays. Raises OSError with the name of `path`.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        with named(path):
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write(path: Path, content: bytes) -> None:
    """Write a whole file; see `writing`."""
    with writing(path) as file:
        file.write(content)


def sync(path: Path) -> None:
    """Have what was written to a file, or what a folder lists, on the disk."""
    with named(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def graph_files(*graphs: str) -> tuple[str, ...]:
    """The files of some of a bundle's graphs."""
    return tuple(name for graph in graphs for name in (f"{graph}.onnx", f"{graph}.onnx.data"))


def bundle_files() -> frozenset[str]:
    """The names of all files that the manifest vouches for."""
    return frozenset((*graph_files(*names.GRAPHS), *TABLES, names.VECTORS_FILE))
