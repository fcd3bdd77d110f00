"""The files of a session, and the lines in them.

    session.json   what the device was, and when saving began
    samples.jsonl  one JSON array a line, its first element the kind; a `poll` closes each delivery
    frames.mkv     the pixels of the `frame` lines, in their order, compressed without loss

A session that was cut off is readable up to where it was cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
import numpy as np
from msgspec import Meta

from devices.bounds import is_size
from devices.clock import NANOSECONDS
from devices.device import Delivery, DeviceError, DeviceInfo
from devices.samples import (
    Blink,
    Fixation,
    FixationSource,
    GazeSample,
    KnownQuestion,
    Sample,
    Sound,
)

FORMAT = 1
HEAD, LINES, FRAMES = "session.json", "samples.jsonl", "frames.mkv"
# The task of what a person asked while a session was saved: typed, spoken; what to be told of from
# then on, and not any more.
ASKED, SPOKEN, WATCHED, UNWATCHED = "asked", "spoken", "standing", "standing no longer"
FRAME, LOST, POLL, SOUND = "frame", "lost frame", "poll", "sound"
LONGEST_LINE = 1 << 20  # bytes
MOST_SAMPLES = 100_000  # in one delivery
LONGEST_PAUSE = 3600 * NANOSECONDS  # between two deliveries; no run looks away for so long
FASTEST = 1e5  # Hz, of any stream

Time = Annotated[int, Meta(ge=-(2**62), le=2**62)]
Place = float | None  # JSON has no word for what is no number: it is null
Text = Annotated[str, Meta(max_length=LONGEST_LINE)]
_VALUES: dict[str, Any] = {
    "gaze": tuple[Time, Time, Place, Place, bool, float | None],
    "fixation": tuple[Time, Time, Place, Place, Time, Time | None, FixationSource, bool],
    "blink": tuple[Time, Time, Time, Time],
    "question": tuple[Time, Time, Text, Text, tuple[Text, ...], Text | None],
    FRAME: tuple[Time, Time, Time],
    LOST: tuple[Time, Time, Time],
    SOUND: tuple[Time, Time, Annotated[int, Meta(ge=1, le=2**31)], bytes],
    POLL: tuple[Time, Time, Time, tuple[Text, ...]],
}
_KINDS: dict[str, type] = {
    "gaze": GazeSample,
    "fixation": Fixation,
    "blink": Blink,
    "question": KnownQuestion,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in _NAMES}


@dataclass(frozen=True, slots=True)
class Head:
    """What `session.json` says. `started_at`: Unix ns on the device's clock."""

    format: int
    started_at: int
    info: DeviceInfo


@dataclass(frozen=True, slots=True)
class FrameLine:
    """A frame whose pixels are the next in the video; not `saved`: they are nowhere."""

    captured_at: int
    arrived_at: int
    index: int
    saved: bool = True


@dataclass(frozen=True, slots=True)
class Batch:
    """One delivery as it was saved: when it was polled (Unix ns), and what it held."""

    polled_at: int
    frames_until: int
    gaze_until: int
    notices: tuple[str, ...]
    samples: tuple[Sample | FrameLine, ...]


def sample_line(sample: Sample) -> bytes:
    """The line of any sample that is not a frame."""
    if isinstance(sample, Sound):
        heard = np.ascontiguousarray(sample.samples, "<f4").tobytes()
        return _line(SOUND, sample.begins_at, sample.arrived_at, sample.rate, heard)
    kind = type(sample)
    return _line(_NAMES[kind], *(getattr(sample, name) for name in _FIELDS[kind]))


def frame_line(frame: FrameLine) -> bytes:
    """The line of a frame."""
    kind = FRAME if frame.saved else LOST
    return _line(kind, frame.captured_at, frame.arrived_at, frame.index)


def poll_line(delivery: Delivery, polled_at: int) -> bytes:
    """The line that closes a delivery."""
    return _line(
        POLL, polled_at, delivery.frames_until, delivery.gaze_until, list(delivery.notices)
    )


def read_head(folder: Path) -> Head:
    """Read `session.json`. Raises DeviceError for what is no session, or of another format."""
    path = folder / HEAD
    try:
        with path.open("rb") as file:
            head = msgspec.json.decode(file.read(LONGEST_LINE), type=Head)
    except OSError as error:
        raise DeviceError(
            f"{folder}: not a saved session ({HEAD}: {error.strerror}): give the folder that "
            "--session wrote"
        ) from error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise DeviceError(f"{path}: damaged: {error}") from error
    if head.format != FORMAT:
        raise DeviceError(f"{path}: format {head.format}, this program reads {FORMAT}")
    if wrong := _impossible(head):
        raise DeviceError(f"{path}: damaged: {wrong}")
    return head


def _impossible(head: Head) -> str | None:
    """What no device can be; None where all is possible."""
    info = head.info
    times = head.started_at, info.starts_at or 0, info.ends_at or 0
    if any(abs(time) > 2**62 for time in times):
        return f"its times are {times}"
    if not is_size(info.frame_width, info.frame_height):
        return f"its frames are {info.frame_width} x {info.frame_height}"
    rates = info.frame_rate, info.gaze_rate
    if not all(rate is None or 0 <= rate <= FASTEST for rate in rates):
        return f"its rates are {rates} Hz"
    return None


def write_head(folder: Path, head: Head) -> None:
    """Write `session.json`."""
    (folder / HEAD).write_bytes(msgspec.json.format(msgspec.json.encode(head), indent=1))


def read_batches(folder: Path) -> Iterator[Batch]:
    """Every delivery, in order, up to the end or to where the file was cut off.

    A number that was none when it was saved is not a number again. Raises DeviceError for a line in
    the middle that can't be read, or that no device can have delivered.
    """
    path = folder / LINES
    samples: list[Sample | FrameLine] = []
    polled: int | None = None
    with path.open("rb") as file:
        for number, line in enumerate(_whole_lines(file), start=1):
            try:
                kind, values = read_line(line)
                if kind != POLL:
                    samples.append(_sample(kind, values))
                    if len(samples) > MOST_SAMPLES:
                        raise ValueError(f"more than {MOST_SAMPLES} samples in one delivery")
                    continue
                batch = Batch(*values, tuple(samples))
                _check_times(batch, batch.polled_at if polled is None else polled)
                polled, samples = batch.polled_at, []
            except ValueError as error:
                raise DeviceError(f"{path}: line {number} is damaged: {error}") from error
            yield batch


def last_poll(folder: Path) -> int | None:
    """When the last delivery was polled, Unix ns; None if there is none."""
    last = None
    path = folder / LINES
    with path.open("rb") as file:
        marker = f'["{POLL}",'.encode()
        for line in _whole_lines(file):
            if line.startswith(marker):
                last = line
    try:
        return None if last is None else read_line(last)[1][0]
    except ValueError as error:
        raise DeviceError(f"{path}: its last delivery is damaged: {error}") from error


def said_aloud(folder: Path) -> list[KnownQuestion]:
    """What a person said to the glasses, in the order of its moments: each stands in its file where
    it was understood, which is later. A line that can't be read is left to `read_batches`."""
    marker, found = b'["question",', []
    with (folder / LINES).open("rb") as file:
        for line in _whole_lines(file):
            if line.startswith(marker):
                with suppress(ValueError):
                    found.append(_sample(*read_line(line)))
    spoken = (sample for sample in found if is_said_aloud(sample))
    return sorted(spoken, key=lambda sample: sample.captured_at)


def is_said_aloud(sample: Sample | FrameLine) -> bool:
    """Whether it is a question, or a standing request, that was spoken."""
    return isinstance(sample, KnownQuestion) and sample.task in (SPOKEN, WATCHED, UNWATCHED)


def read_line(line: bytes) -> tuple[str, tuple[Any, ...]]:
    """A line's kind and its values. Raises ValueError for one that is none of a session."""
    try:
        kind, *values = msgspec.json.decode(line, type=list[Any])
        return kind, msgspec.convert(values, _VALUES[kind])
    except (msgspec.MsgspecError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines up to the end or to where the file was cut off; one that is too long is cut, too,
    so that it can't be read."""
    while line := file.readline(LONGEST_LINE):
        if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
            return
        yield line


def _check_times(batch: Batch, before: int) -> None:
    """Raise ValueError for a delivery that no device can have made after one polled at `before`."""
    if not 0 <= batch.polled_at - before <= LONGEST_PAUSE:
        raise ValueError(f"polled at {batch.polled_at} after {before}")
    for sample in batch.samples:
        is_timed = isinstance(sample, FrameLine | GazeSample | Blink | Sound)
        if is_timed and abs(batch.polled_at - sample.captured_at) > LONGEST_PAUSE:
            raise ValueError(f"captured at {sample.captured_at}, polled at {batch.polled_at}")


def _sample(kind: str, values: tuple[Any, ...]) -> Sample | FrameLine:
    if kind in (FRAME, LOST):
        return FrameLine(*values, saved=kind == FRAME)
    if kind == SOUND:
        begins_at, arrived_at, rate, heard = values
        return Sound(begins_at, arrived_at, rate, np.frombuffer(heard, "<f4"))
    if kind in ("gaze", "fixation"):
        at, arrived_at, x, y, *more = values
        return _KINDS[kind](at, arrived_at, _number(x), _number(y), *more)
    return _KINDS[kind](*values)


def _number(place: float | None) -> float:
    return math.nan if place is None else place


def _line(*values: object) -> bytes:
    return msgspec.json.encode(values) + b"\n"
