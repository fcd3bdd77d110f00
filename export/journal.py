"""What of an export is finished, so that the same command goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

JOURNAL_FILE = "export.unfinished.json"


class Journal:
    """The finished parts of one export, in its folder until the bundle is whole.

    A folder that was begun from other inputs, options or code is begun again.
    """

    def __init__(self, folder: Path, origin: Mapping[str, str]) -> None:
        """`origin`: all that decides what is written."""
        self._path = folder / JOURNAL_FILE
        content = json.dumps({**origin, "code": _code()}, sort_keys=True)
        self.origin = hashlib.sha256(content.encode()).hexdigest()
        self._finished = self._read()

    @contextmanager
    def part(self, name: str) -> Iterator[bool]:
        """Whether `name` has still to be written; it is finished when the block is left."""
        missing = name not in self._finished
        yield missing
        if missing:
            self._finished.append(name)
            self._write()

    def close(self) -> None:
        """The bundle is whole."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> list[str]:
        """The parts that were finished from this origin."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return list(content["finished"]) if content["origin"] == self.origin else []
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _write(self) -> None:
        written = self._path.with_suffix(".writing")
        content = {"origin": self.origin, "finished": self._finished}
        written.write_text(json.dumps(content), encoding="utf-8")
        written.replace(self._path)


def _code() -> str:
    """A hash of this package: parts that another version wrote need not fit together."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
