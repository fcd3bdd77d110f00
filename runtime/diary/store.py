"""The diary's file: SQLite, whole after every entry, bounded in size."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import RuntimeFault

MIB = 1 << 20
LEAST_LIMIT = 4 * MIB
SLACK = MIB  # of the limit: for what is written but not yet folded into the file
APPLICATION = 0x47515A44  # names the file as ours
VERSION = 1
AT_ONCE = 16  # pictures or entries given up in one go
SCHEMA = """
CREATE TABLE entries (
    number INTEGER PRIMARY KEY, at INTEGER NOT NULL, ended_at INTEGER, frame_at INTEGER,
    thing TEXT NOT NULL, confidence REAL NOT NULL, x REAL NOT NULL, y REAL NOT NULL
);
CREATE TABLE pictures (number INTEGER PRIMARY KEY, content BLOB NOT NULL);
CREATE INDEX entries_at ON entries (at);
CREATE INDEX entries_thing ON entries (thing, at);
CREATE TABLE sayings (
    number INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
    answer TEXT
);
CREATE INDEX sayings_at ON sayings (at);
"""
COLUMNS = "number, at, ended_at, frame_at, thing, confidence, x, y"


class DiaryError(RuntimeFault):
    """A diary can't be opened, read or written, in one line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A fixation and what it was on. `at`: when it began; `ended_at`: by when it had ended, None
    while that is not known; `frame_at`: of the frame it was decided on; all Unix ns. `x`, `y`: in
    fractions of the frame. `thing` is empty where it was unsure."""

    number: int
    at: int
    ended_at: int | None
    frame_at: int | None
    thing: str
    confidence: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Saying:
    """An answer or an alert. `at` Unix ns; `kind`: as of its record."""

    at: int
    kind: str
    text: str
    answer: str | None


class Diary:
    """One open diary, for one thread. A writer and any number of readers go together."""

    def __init__(self, path: Path, limit: int | None = None) -> None:
        """`limit`: bytes that the file may have; None to read only. Raises DiaryError."""
        self._path = path
        self._budget = None if limit is None else max(limit, LEAST_LIMIT) - SLACK
        if limit is None and not path.is_file():
            raise DiaryError(f"{path}: there is no such diary")
        try:
            if limit is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            address = path.resolve().as_uri() + ("?mode=ro" if limit is None else "")
            self._file = sqlite3.connect(
                address, uri=True, isolation_level=None, check_same_thread=False
            )
            self._prepare(limit is not None)
        except (sqlite3.Error, OSError) as error:
            raise DiaryError(f"{path}: can't be opened as a diary: {error}") from error

    def _prepare(self, writing: bool) -> None:
        found = self._one("PRAGMA application_id")
        is_new = self._one("SELECT count(*) FROM sqlite_master") == 0
        if is_new and writing:
            for line in ("auto_vacuum = NONE", "journal_mode = WAL"):
                self._file.execute(f"PRAGMA {line}")
            self._file.executescript(
                f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION}; "
                f"PRAGMA user_version = {VERSION}; COMMIT;"
            )
        elif found != APPLICATION or self._one("PRAGMA user_version") != VERSION:
            raise DiaryError(f"{self._path}: no diary of this program: give another file")
        if writing:
            for line in ("synchronous = NORMAL", "wal_autocheckpoint = 64"):
                self._file.execute(f"PRAGMA {line}")
            self._file.execute(f"PRAGMA journal_size_limit = {SLACK // 2}")

    def add(self, entry: Entry, picture: bytes | None) -> None:
        """Write an entry; its number is the next one. Raises DiaryError."""
        values = (
            *(entry.at, entry.ended_at, entry.frame_at, entry.thing, entry.confidence),
            *(entry.x, entry.y),
        )
        names = "at, ended_at, frame_at, thing, confidence, x, y"
        self._write("BEGIN", ())
        self._write(f"INSERT INTO entries ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        if picture is not None:
            self._write("INSERT INTO pictures VALUES (last_insert_rowid(), ?)", (picture,))
        self._write("COMMIT", ())
        self._shrink()

    def end(self, at: int, ended_at: int) -> None:
        """The entries that begin at or before `at` and are open had ended by `ended_at`."""
        self._write(
            "UPDATE entries SET ended_at = ? WHERE ended_at IS NULL AND at <= ?", (ended_at, at)
        )

    def say(self, saying: Saying) -> None:
        """Write an answer or an alert. Raises DiaryError."""
        values = saying.at, saying.kind, saying.text, saying.answer
        self._write("INSERT INTO sayings (at, kind, text, answer) VALUES (?, ?, ?, ?)", values)
        self._shrink()

    def entries(self, since: int | None = None, until: int | None = None) -> Iterator[Entry]:
        """Those that begin in a span of time (Unix ns), in order."""
        first, last = since or 0, (1 << 62) if until is None else until
        query = f"SELECT {COLUMNS} FROM entries WHERE at BETWEEN ? AND ? ORDER BY at, number"
        for row in self._file.execute(query, (first, last)):
            yield Entry(*row)

    def newest(self, after: int, most: int) -> list[Entry]:
        """The newest entries from number `after` on, at most so many, the oldest first."""
        query = f"SELECT {COLUMNS} FROM entries WHERE number >= ? ORDER BY number DESC LIMIT ?"
        return [Entry(*row) for row in self._file.execute(query, (after, most))][::-1]

    def last(self, thing: str, before: int | None = None) -> Entry | None:
        """The newest entry of a thing."""
        query = f"SELECT {COLUMNS} FROM entries WHERE thing = ? AND at <= ? ORDER BY at DESC"
        row = self._file.execute(query, (thing, before or 1 << 62)).fetchone()
        return None if row is None else Entry(*row)

    def things(self) -> list[str]:
        """All names, those that are looked at most first."""
        query = "SELECT thing FROM entries WHERE thing != '' GROUP BY thing ORDER BY count(*) DESC"
        return [thing for (thing,) in self._file.execute(query)]

    def sayings(self, since: int | None = None, until: int | None = None) -> Iterator[Saying]:
        """Answers and alerts of a span of time (Unix ns), in order."""
        first, last = since or 0, (1 << 62) if until is None else until
        query = "SELECT at, kind, text, answer FROM sayings WHERE at BETWEEN ? AND ? ORDER BY at"
        for row in self._file.execute(query, (first, last)):
            yield Saying(*row)

    def picture(self, number: int) -> bytes | None:
        """The picture of an entry as JPEG; None where there is none any more."""
        query = "SELECT content FROM pictures WHERE number = ?"
        row = self._file.execute(query, (number,)).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _shrink(self) -> None:
        """Keep to the limit: the oldest pictures go first, then the oldest entries."""
        while self._budget is not None and self._used() > self._budget:
            if not any(map(self._shorten, ("pictures", "entries", "sayings"))):
                return

    def _shorten(self, table: str) -> int:
        """Give up the oldest rows of a table; returns how many there were."""
        oldest = f"SELECT number FROM {table} ORDER BY number LIMIT {AT_ONCE}"
        return self._write(f"DELETE FROM {table} WHERE number IN ({oldest})", ())

    def _used(self) -> int:
        pages = self._one("PRAGMA page_count") - self._one("PRAGMA freelist_count")
        return pages * self._one("PRAGMA page_size")

    def _one(self, query: str) -> int:
        return int(self._file.execute(query).fetchone()[0])

    def _write(self, query: str, values: tuple[object, ...]) -> int:
        """Run a statement; returns how many rows it changed."""
        try:
            return self._file.execute(query, values).rowcount
        except sqlite3.Error as error:
            if self._file.in_transaction:
                self._file.rollback()
            raise DiaryError(f"{self._path}: can't be written: {error}") from error
