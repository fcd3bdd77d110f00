"""The files of a session, and the lines in them.

    session.json   what the device was, and when saving began
    samples.jsonl  one JSON array a line, its first element the kind; a `poll` closes each delivery
    frames.mkv     the pixels of the `frame` lines, in their order, compressed without loss

A session that was cut off is readable up to where it was cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec

from devices.device import Delivery, DeviceError, DeviceInfo
from devices.samples import Blink, Fixation, GazeSample, KnownQuestion, Sample

FORMAT = 1
HEAD, LINES, FRAMES = "session.json", "samples.jsonl", "frames.mkv"
ASKED = "asked"  # the task of a question that a person asked while a session was saved
FRAME, LOST, POLL = "frame", "lost frame", "poll"
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
        head = msgspec.json.decode(path.read_bytes(), type=Head)
    except OSError as error:
        raise DeviceError(
            f"{folder}: not a saved session ({HEAD}: {error.strerror}): give the folder that "
            "--session wrote"
        ) from error
    except msgspec.MsgspecError as error:
        raise DeviceError(f"{path}: damaged: {error}") from error
    if head.format != FORMAT:
        raise DeviceError(f"{path}: format {head.format}, this program reads {FORMAT}")
    return head


def write_head(folder: Path, head: Head) -> None:
    """Write `session.json`."""
    (folder / HEAD).write_bytes(msgspec.json.format(msgspec.json.encode(head), indent=1))


def read_batches(folder: Path) -> Iterator[Batch]:
    """Every delivery, in order, up to the end or to where the file was cut off.

    Raises DeviceError for a line in the middle that can't be read.
    """
    path = folder / LINES
    samples: list[Sample | FrameLine] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return  # cut off while it was written
            try:
                kind, *values = msgspec.json.decode(line)
                if kind == POLL:
                    polled_at, frames_until, gaze_until, notices = values
                    told = tuple(notices)
                    yield Batch(polled_at, frames_until, gaze_until, told, tuple(samples))
                    samples = []
                else:
                    samples.append(_sample(kind, values))
            except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
                raise DeviceError(f"{path}: line {number} is damaged: {error}") from error


def last_poll(folder: Path) -> int | None:
    """When the last delivery was polled, Unix ns; None if there is none."""
    last = None
    with (folder / LINES).open("rb") as file:
        marker = f'["{POLL}",'.encode()
        for line in file:
            if line.startswith(marker) and line.endswith(b"\n"):
                last = line
    return None if last is None else int(msgspec.json.decode(last)[1])


def _sample(kind: str, values: list[Any]) -> Sample | FrameLine:
    if kind in (FRAME, LOST):
        return FrameLine(*values, saved=kind == FRAME)
    if kind == "question":
        at, arrived_at, task, text, options, answer = values
        return KnownQuestion(at, arrived_at, task, text, tuple(options), answer)
    return _KINDS[kind](*values)


def _line(*values: object) -> bytes:
    return msgspec.json.encode(values) + b"\n"
