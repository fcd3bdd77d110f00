"""The files that Pupil Labs' phones write: for each sensor and part, values in `.raw`, their times
in `.time`, the values' type in `.dtype` where it is not the usual one.

An own reader: pupil-labs-neon-recording joins the parts before it pairs values with times, so that
one value missing at the end of a part shifts all later ones; the rest of its faults is in `neon`.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.device import DeviceError
from devices.recording.tally import Tally
from devices.recording.timing import in_order

TIME = np.dtype("<i8")  # Unix ns


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """What a sensor said: `times` int64 Unix ns, `values` as many records."""

    times: NDArray[np.int64]
    values: NDArray[np.void]


def part_files(folder: Path, sensor: str, ending: str) -> list[Path]:
    """The files of a sensor, in order of their parts. Copies that a browser renamed are none."""
    name = re.compile(rf"{re.escape(sensor)} ps(\d+)\.{ending}")
    found = [(match, file) for file in folder.iterdir() if (match := name.fullmatch(file.name))]
    return [file for _, file in sorted(found, key=lambda each: int(each[0][1]))]


def read_stream(
    folder: Path, sensor: str, usual: np.dtype, noun: str, tally: Tally
) -> Stream | None:
    """All parts of a sensor one after another; None if it has no files.

    `usual`: the type of a value where the folder names none; the fields asked for must be in it.
    Values and times that lack each other are counted as left out, and so is what a part repeats
    of the time of the one before it. Raises DeviceError for a part that nothing can be read of.
    """
    kind = _kind(folder, sensor, usual)
    parts: list[Stream] = []
    for raw in part_files(folder, sensor, "raw"):
        part = _read_part(raw, kind, noun, tally)
        if parts and part.times.size and parts[-1].times.size:
            later = _after(part.times, int(parts[-1].times.max()))
            cause = "of a time that the part before it covers"
            tally.leave_out(noun, cause, part.times.size - later.size)
            part = Stream(part.times[later], part.values[later])
        parts.append(part)
    if not parts:
        return None
    times = np.concatenate([part.times for part in parts])
    return Stream(times, np.concatenate([part.values for part in parts]))


def read_events(
    folder: Path, sensor: str, usual: np.dtype, noun: str, tally: Tally
) -> NDArray[np.void]:
    """All parts of a sensor whose values name their own times; nothing where it has no files."""
    kind = _kind(folder, sensor, usual)
    parts = [np.zeros(0, kind)]
    for raw in part_files(folder, sensor, "raw"):
        parts.append(read_values(raw, kind))
        cut = int(raw.stat().st_size % kind.itemsize > 0)
        tally.expect(noun, parts[-1].size + cut)
        tally.leave_out(noun, f"cut off at the end of {raw.name}", cut)
    return np.concatenate(parts)


def read_times(path: Path) -> NDArray[np.int64]:
    """The whole times of a file, Unix ns. Raises OSError."""
    return np.frombuffer(_whole(path, TIME), TIME).astype(np.int64)


def read_values(path: Path, kind: np.dtype) -> NDArray[np.void]:
    """The whole values of a file. Raises OSError."""
    return np.frombuffer(_whole(path, kind), kind)


def _read_part(raw: Path, kind: np.dtype, noun: str, tally: Tally) -> Stream:
    beside = raw.with_suffix(".time")
    if not beside.is_file():
        raise DeviceError(f"{beside}: the time stamps of {raw.name} are missing: copy it again")
    times, values = read_times(beside), read_values(raw, kind)
    both = min(times.size, values.size)
    tally.expect(noun, max(times.size, values.size))
    tally.leave_out(noun, f"{raw.name} ends before its time stamps", times.size - both)
    tally.leave_out(noun, f"{beside.name} ends before its values", values.size - both)
    return Stream(times[:both], values[:both])


def _after(times: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    """The places of what comes after the part before; single stragglers among it come along."""
    if int(np.median(times)) <= end:  # the clock was set back: nothing tells the two apart
        return np.flatnonzero(times > end)
    ordered = in_order(times)
    first = int(np.searchsorted(times[ordered], end, side="right"))
    start = ordered[first] if first < ordered.size else times.size
    return np.flatnonzero((np.arange(times.size) >= start) | (times > end))


def _kind(folder: Path, sensor: str, usual: np.dtype) -> np.dtype:
    """The type of a sensor's values. Raises DeviceError for one that is not understood."""
    path = folder / f"{sensor}.dtype"
    if not path.is_file():
        return usual
    try:
        kind = np.dtype(ast.literal_eval(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise DeviceError(f"{path}: it is no type of values: copy the recording again") from error
    missing = {name for name in usual.names or () if not _stands_for(kind, usual, name)}
    if missing:
        raise DeviceError(
            f"{path}: it names no {', '.join(sorted(missing))}: the recording is of a format that "
            "is not known here"
        )
    return kind.newbyteorder("<")


def _stands_for(kind: np.dtype, usual: np.dtype, name: str) -> bool:
    """Whether a field of `kind` holds one number of the sort that `usual` has there."""
    if kind.hasobject or name not in (kind.names or ()):
        return False
    field = kind[name]
    return field.kind == usual[name].kind and 0 < field.itemsize <= 8


def _whole(path: Path, kind: np.dtype) -> bytes:
    data = path.read_bytes()
    return data[: len(data) // kind.itemsize * kind.itemsize]
