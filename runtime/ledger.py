"""A long job on disk: what it is done with, and one line per result, appended as it is done.

A job that was stopped at any moment goes on where it was: a line cut short is dropped, and what it
was about done again. Only one process at a time writes.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

DAMAGED = (msgspec.MsgspecError, RecursionError, UnicodeError)
LONGEST = 120  # characters of a condition in an error message

Conditions = TypeVar("Conditions")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Job(Generic[Conditions, Result]):
    """A kind of job: its name in messages, its files, the dataclasses in them, its error."""

    noun: str
    conditions_file: str
    results_file: str
    conditions: type[Conditions]
    result: type[Result]
    fault: type[Exception]

    def read_conditions(self, folder: Path) -> Conditions:
        """What the job in `folder` is done with. Raises the job's error where there is none."""
        path = folder / self.conditions_file
        if not path.is_file():
            raise self.fault(f"{folder}: there is no {self.noun}: it has no {path.name}")
        try:
            return msgspec.json.decode(path.read_bytes(), type=self.conditions)
        except DAMAGED as error:
            raise self.fault(f"{path}: damaged: {error}") from error

    def read(self, folder: Path) -> list[Result]:
        """Its results so far. Raises the job's error for a damaged line."""
        path = folder / self.results_file
        content = path.read_bytes() if path.is_file() else b""
        return list(self.decoded(path, content[: content.rfind(b"\n") + 1]))

    def check(self, folder: Path, conditions: Conditions) -> None:
        """Raises the job's error where the one in `folder` is done under other conditions."""
        held = self.read_conditions(folder)
        for name in (each.name for each in fields(self.conditions)):
            before, now = getattr(held, name), getattr(conditions, name)
            if before != now:
                raise self.fault(
                    f"--out {folder}: it holds a {self.noun} with another "
                    f"{name.replace('_', ' ')} ({_short(before)}, now {_short(now)}): "
                    "give another folder"
                )

    def decoded(self, path: Path, lines: bytes) -> Iterator[Result]:
        """The results in whole lines of the file at `path`."""
        for number, line in enumerate(lines.splitlines(), start=1):
            try:
                yield msgspec.json.decode(line, type=self.result)
            except DAMAGED as error:
                raise self.fault(f"{path}, line {number}: damaged: {error}") from error


class Ledger(Generic[Conditions, Result]):
    """The results of a job being done."""

    def __init__(self, job: Job[Conditions, Result], folder: Path, conditions: Conditions) -> None:
        """Open a new job, or one that was stopped.

        Raises the job's error for one under other conditions, one that another process is making,
        one that is damaged, and a folder that can't be written.
        """
        self._job = job
        self._path = folder / job.results_file
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab+", buffering=0)
        except OSError as error:
            raise job.fault(f"--out {folder}: can't be written: {error.strerror}") from error
        try:
            self._lock(folder)
            self._check(folder, conditions)
            self.before = tuple(self.read())
        except OSError as error:
            self._file.close()
            raise job.fault(f"--out {folder}: {error.strerror}") from error
        except job.fault:
            self._file.close()
            raise

    def append(self, results: Sequence[Result]) -> None:
        """Write some results, all or none; afterwards not even a power cut loses them."""
        left = memoryview(b"".join(msgspec.json.encode(each) + b"\n" for each in results))
        before = self._path.stat().st_size
        try:
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(before)
            raise self._job.fault(
                f"{self._path}: {error.strerror}: the same command goes on from here"
            ) from error

    def read(self) -> list[Result]:
        """All results so far; what follows the last whole line is cut off."""
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        return list(self._job.decoded(self._path, content[:whole]))

    def close(self) -> None:
        """Close the file, which lets others go on with the job."""
        self._file.close()

    def _lock(self, folder: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise self._job.fault(
                f"--out {folder}: another process is making this {self._job.noun}"
            ) from error

    def _check(self, folder: Path, conditions: Conditions) -> None:
        path = folder / self._job.conditions_file
        if not path.is_file():
            partial = path.with_suffix(".partial")
            content = msgspec.json.format(msgspec.json.encode(conditions), indent=1)
            partial.write_bytes(content + b"\n")
            partial.replace(path)
            return
        self._job.check(folder, conditions)


def _short(value: object) -> str:
    """A condition in an error message."""
    text = (
        ", ".join(f"{name}: {digest[:8]}" for name, digest in value.items())
        if isinstance(value, dict)
        else str(value)
    )
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
