"""Files that a benchmark writes when it has measured: refused before, not after it."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from pathlib import Path


def result_file(text: str) -> Path:
    """A type for argparse: a file that can be written, its folders made if need be."""
    path = Path(text)
    place = path.absolute()
    try:
        if place.is_dir():
            raise ArgumentTypeError(f"{text} is a folder: name a file")
        nearest = next(each for each in (place, *place.parents) if each.exists())
        if nearest != place and not nearest.is_dir():
            raise ArgumentTypeError(f"{text}: {nearest} is no folder")
    except OSError as error:
        raise ArgumentTypeError(f"{text}: {error.strerror}") from error
    if not os.access(nearest, os.W_OK):
        raise ArgumentTypeError(f"{text}: {nearest} can't be written")
    return path


def write_result(path: Path, content: bytes) -> None:
    """Write a whole file, and the folders that it lies in. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
