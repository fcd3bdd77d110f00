"""`python -m runtime.diary FILE`: search what was looked at, by thing and by time."""

from __future__ import annotations

import argparse
import csv
import io
import re
import sqlite3
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from devices.clock import NANOSECONDS
from devices.parser import Parser, complain
from devices.printable import printable
from runtime.diary.search import UNITS, recall, thing_in
from runtime.diary.store import Diary, DiaryError, Entry
from runtime.errors import RuntimeFault
from runtime.terminal import SafeConsole

SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
CLOCK = ("%H:%M", "%H:%M:%S")
LONGEST = 1000
HEADER = ("entry", "timestamp [ns]", "end timestamp [ns]", "thing", "confidence", "x", "y")


def main(arguments: Sequence[str] | None = None) -> int:
    """Search; returns the exit status, 1 where nothing was found."""
    options = parse_arguments(arguments)
    console = SafeConsole()
    try:
        diary = Diary(options.diary)
        try:
            return _searched(diary, options, console)
        finally:
            diary.close()
    except (RuntimeFault, sqlite3.Error, OSError) as error:
        complain(error if isinstance(error, DiaryError) else f"{options.diary}: {error}")
        return 1


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m runtime.diary", description="Search a diary of a live run.")
    parser.add_argument("diary", type=Path, metavar="FILE")
    parser.add_argument("question", nargs="?", metavar="QUESTION")
    parser.add_argument(
        "--since", type=_moment, metavar="TIME", help="10m, 2h, 14:30 or 2026-05-01T14:30"
    )
    parser.add_argument("--until", type=_moment, metavar="TIME")
    parser.add_argument("--csv", action="store_true", help="entries as a table")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="write those of the entries")
    return parser.parse_args(arguments)


def _searched(diary: Diary, options: argparse.Namespace, console: SafeConsole) -> int:
    entries = list(diary.entries(options.since, options.until))
    if options.question is not None:
        now = options.until or max(time.time_ns(), 1)
        if not (options.since or options.csv):
            recalled = recall(diary, options.question, (), now)
            if recalled is not None:
                console.print(printable(f"{recalled.text} ({recalled.basis})", LONGEST))
                _write_pictures(diary, recalled.entries, options.pictures)
                return 0
        thing = thing_in(options.question, diary.things())
        entries = [entry for entry in entries if thing is not None and entry.thing == thing]
    _write_pictures(diary, entries, options.pictures)
    if options.csv:
        sys.stdout.write(_table(entries))
        return 0
    for entry in entries:
        console.print(printable(_line(entry), LONGEST))
    if options.question is None:
        for saying in diary.sayings(options.since, options.until):
            answer = "" if saying.answer is None else f" {saying.answer}"
            line = f"{_clock(saying.at)}  {saying.kind}: {saying.text}{answer}"
            console.print(printable(line, LONGEST))
    if not entries:
        console.print("nothing in the diary about that")
    return 0 if entries else 1


def _write_pictures(diary: Diary, entries: Sequence[Entry], folder: Path | None) -> None:
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        if (picture := diary.picture(entry.number)) is not None:
            (folder / f"{entry.number:06d}.jpg").write_bytes(picture)


def _line(entry: Entry) -> str:
    thing = entry.thing or "unsure"
    return f"{entry.number:>6}  {_clock(entry.at)}  {thing} ({entry.confidence:.0%})"


def _table(entries: Sequence[Entry]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for each in entries:
        ended = "" if each.ended_at is None else each.ended_at
        confidence = f"{each.confidence:.4f}"
        place = f"{each.x:.4f}", f"{each.y:.4f}"
        writer.writerow((each.number, each.at, ended, each.thing, confidence, *place))
    return text.getvalue()


def _clock(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment / NANOSECONDS):%Y-%m-%d %H:%M:%S}"


def _moment(text: str) -> int:
    """Unix ns of a time: a span before now, a time of today, or a date with its time."""
    if match := SPAN.fullmatch(text.strip()):
        unit = next(length for name, length in UNITS.items() if name.startswith(match[2]))
        return time.time_ns() - round(float(match[1]) * unit * NANOSECONDS)
    for form in CLOCK:
        try:
            clock = datetime.strptime(text, form).time()
        except ValueError:
            continue
        return round(datetime.combine(datetime.now().date(), clock).timestamp()) * NANOSECONDS
    try:
        return round(datetime.fromisoformat(text).timestamp() * NANOSECONDS)
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: give 10m, 2h, 14:30 or 2026-05-01T14:30"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
