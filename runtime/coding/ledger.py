"""A coding on disk: what it was made with, and one line per fixation, appended as it is coded.

A coding that was stopped at any moment goes on where it was: a line cut short is dropped, and its
fixation coded again.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec

from runtime.errors import RuntimeFault

CONDITIONS_FILE, CODES_FILE = "coding.json", "codes.jsonl"
DAMAGED = (msgspec.MsgspecError, RecursionError, UnicodeError)


class CodingError(RuntimeFault):
    """A coding can't be made, gone on with or read, in one line."""


@dataclass(frozen=True, slots=True)
class CodingConditions:
    """Everything that a code depends on. `share` in seconds; `rate` in frames per second."""

    recording: str
    fixations: str
    bundle: str
    bundle_digest: str
    weights: str
    engine: str
    gaze: str
    question: str
    things: tuple[str, ...]
    checks: bool
    share: float
    rate: float
    start: int
    video: str
    recording_id: str = ""
    rules: int = 1


@dataclass(frozen=True, slots=True)
class Code:
    """What a fixation was on, as it was decided; see `Decision`. `number`: of its row.

    `trouble`: why it could not be looked at. `frame_at`: capture time (Unix ns) of the frame.
    `crop`: its picture, beside this file. `without`: the thing that is named without gaze, where
    that was asked.
    """

    number: int
    thing: str | None = None
    confidence: float | None = None
    chances: dict[str, float] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    said: str | None = None
    frame_at: int | None = None
    crop: str | None = None
    without: str | None = None
    trouble: str | None = None


class Ledger:
    """The codes of one recording being made, by one process at a time."""

    def __init__(self, folder: Path, conditions: CodingConditions) -> None:
        """Open a new coding, or one that was stopped. Raises CodingError."""
        self._path = folder / CODES_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab+")
        except OSError as error:
            raise CodingError(f"--out {folder}: can't be written: {error.strerror}") from error
        try:
            self._lock(folder)
            _check_conditions(folder, conditions)
            self.done = frozenset(code.number for code in self._whole())
        except CodingError:
            self._file.close()
            raise

    def append(self, codes: list[Code]) -> None:
        """Write some codes; afterwards not even a power cut loses them."""
        try:
            self._file.write(b"".join(msgspec.json.encode(code) + b"\n" for code in codes))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise CodingError(f"{self._path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file, which lets others go on with the coding."""
        self._file.close()

    def _lock(self, folder: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CodingError(f"--out {folder}: another process is making this coding") from error

    def _whole(self) -> list[Code]:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        return _decoded(self._path, content[:whole])


def read_codes(folder: Path) -> dict[int, Code]:
    """All codes of a recording by the number of their row. Raises CodingError."""
    path = folder / CODES_FILE
    content = path.read_bytes() if path.is_file() else b""
    codes = _decoded(path, content[: content.rfind(b"\n") + 1])
    return {code.number: code for code in codes}


def read_conditions(folder: Path) -> CodingConditions:
    """What a coding was made with. Raises CodingError where there is none."""
    path = folder / CONDITIONS_FILE
    if not path.is_file():
        raise CodingError(f"{folder}: there is no coding: it has no {CONDITIONS_FILE}")
    try:
        return msgspec.json.decode(path.read_bytes(), type=CodingConditions)
    except DAMAGED as error:
        raise CodingError(f"{path}: damaged: {error}") from error


def _decoded(path: Path, lines: bytes) -> list[Code]:
    codes = []
    for number, line in enumerate(lines.splitlines(), start=1):
        try:
            codes.append(msgspec.json.decode(line, type=Code))
        except DAMAGED as error:
            raise CodingError(f"{path}, line {number}: damaged: {error}") from error
    return codes


def _check_conditions(folder: Path, conditions: CodingConditions) -> None:
    path = folder / CONDITIONS_FILE
    if not path.is_file():
        partial = path.with_suffix(".partial")
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(conditions), indent=1) + b"\n")
        partial.replace(path)
        return
    before, now = asdict(read_conditions(folder)), asdict(conditions)
    for name, value in now.items():
        if before[name] != value:
            raise CodingError(
                f"--out {folder}: it holds a coding with another {name.replace('_', ' ')} "
                f"({str(before[name])[:80]}, now {str(value)[:80]}): give another folder"
            )
