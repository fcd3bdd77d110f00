"""What of an export is finished, so that the same command goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from export import files
from runtime.bundle.manifest import FileSpec
from runtime.bundle.verification import file_spec

JOURNAL_FILE = "export.unfinished.json"


@dataclass(frozen=True, slots=True)
class _Content:
    """The files of every finished part, as they were written, and what decided their content."""

    origin: str
    finished: dict[str, dict[str, FileSpec]] = field(default_factory=dict)


class Journal:
    """The finished parts of one export, in its folder until the bundle is whole.

    A part is finished for as long as its files are what was written. A folder that was begun from
    other inputs, options or code is begun again.
    """

    def __init__(self, folder: Path, origin: Mapping[str, str]) -> None:
        """`origin`: all that decides what is written."""
        self._folder = folder
        self._path = folder / JOURNAL_FILE
        content = json.dumps({**origin, "code": _code()}, sort_keys=True)
        self.origin = hashlib.sha256(content.encode()).hexdigest()
        self._content = self._read()

    def begin(self, written: Iterable[str]) -> None:
        """Make room: what is in the folder under these names and was not begun from this origin."""
        if not self._content.finished:
            self._remove(written)

    @contextmanager
    def part(self, name: str, written: Sequence[str]) -> Iterator[bool]:
        """Whether a part has still to be written; it is finished when the block is left.

        `written`: the names of its files. A part of which one is gone or not what was written is
        not finished.
        """
        missing = not self._whole(name, written)
        if missing and name in self._content.finished:
            self._remove(written)
        yield missing
        if missing:
            self._content.finished[name] = {each: self._synced(each) for each in written}
            self._write()

    def close(self) -> None:
        """The bundle is whole."""
        self._path.unlink(missing_ok=True)

    def _remove(self, written: Iterable[str]) -> None:
        for each in written:
            (self._folder / each).unlink(missing_ok=True)

    def _whole(self, name: str, written: Sequence[str]) -> bool:
        specs = self._content.finished.get(name, {})
        return set(specs) == set(written) and all(
            _matches(self._folder / each, spec) for each, spec in specs.items()
        )

    def _synced(self, name: str) -> FileSpec:
        """What a file holds, once it is on the disk."""
        files.sync(self._folder / name)
        return file_spec(self._folder / name)

    def _read(self) -> _Content:
        """The parts that were finished from this origin."""
        try:
            content = msgspec.json.decode(self._path.read_bytes(), type=_Content)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return _Content(self.origin)
        return content if content.origin == self.origin else _Content(self.origin)

    def _write(self) -> None:
        files.sync(self._folder)
        files.write(self._path, msgspec.json.encode(self._content))
        files.sync(self._folder)


def _matches(path: Path, spec: FileSpec) -> bool:
    """Whether a file is what was written; one of another size is not read."""
    try:
        return path.stat().st_size == spec.size and file_spec(path) == spec
    except OSError:
        return False


def _code() -> str:
    """A hash of this package: parts that another version wrote need not fit together."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
