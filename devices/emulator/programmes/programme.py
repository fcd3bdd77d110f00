"""What the emulated phone sees: encoded pictures, gaze and eye events, played round and round."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from devices.neon import wire


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded frame: its H.264 NAL units without start codes, captured `at` (ns from start)."""

    at: int
    units: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class GazePoint:
    """Gaze in scene pixels `at` (ns from start); `eyes` are the float32 of the eye state."""

    at: int
    x: float
    y: float
    worn: bool = True
    eyes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class EyeEvent:
    """An eye event known `at`, of type `kind` (wire.py); times in ns from the start.

    `point` is the mean gaze in scene pixels, for fixations and saccades.
    """

    at: int
    kind: int
    started: int = 0
    ended: int = 0
    point: tuple[float, float] = (0.0, 0.0)

    def payload(self, started: int, ended: int) -> bytes:
        """The event's bytes, with its times on the phone's clock (Unix ns)."""
        if self.kind in (wire.SACCADE_ONSET, wire.FIXATION_ONSET):
            return wire.ONSET.pack(self.kind, started)
        if self.kind in (wire.SACCADE, wire.FIXATION):
            return wire.MOVEMENT.pack(self.kind, started, ended, *(self.point * 3), *([0.0] * 4))
        if self.kind == wire.BLINK:
            return wire.SPAN.pack(self.kind, started, ended)
        return wire.EVENT_TYPE.pack(self.kind)


@dataclass(frozen=True, slots=True)
class SoundUnit:
    """One access unit of AAC, its first sample captured `at` (ns from start)."""

    at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """One round of what there is to hear: mono AAC of `rate` Hz with its AudioSpecificConfig;
    `length` (ns) is the time after which it begins again."""

    rate: int
    config: bytes
    length: int
    units: tuple[SoundUnit, ...]


Item = TypeVar("Item", Picture, GazePoint, EyeEvent, SoundUnit)


@dataclass(frozen=True, slots=True)
class Programme:
    """One round of what there is to see; `length` (ns) is the time after which it begins again."""

    name: str
    width: int
    height: int
    parameters: tuple[bytes, bytes]
    length: int
    pictures: tuple[Picture, ...]
    gaze: tuple[GazePoint, ...]
    events: tuple[EyeEvent, ...] = ()
    calibration: bytes | None = None
    sound: SoundTrack | None = None


def endless(items: Sequence[Item], length: int, begin: int) -> Iterator[tuple[int, Item]]:
    """(moment, item) from `begin` on, both ns from the start of the first round, without end."""
    if not items:
        return
    turn, position = divmod(begin, length)
    first = bisect_left(items, position, key=lambda item: item.at)
    while True:
        for item in items[first:]:
            yield turn * length + item.at, item
        turn, first = turn + 1, 0
