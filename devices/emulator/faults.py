"""What goes wrong, and when: a plan of faults, written by hand or drawn from a seed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

MEANINGS = {
    "loss": "fraction of packets lost (UDP)",
    "burst": "probability per packet that a burst of 20 lost packets begins (UDP)",
    "reorder": "fraction of packets that arrive 5 ms late, behind later ones (UDP)",
    "duplicate": "fraction of packets that arrive twice (UDP)",
    "jitter": "greatest delay of a packet, in seconds",
    "garbage": "packets of random bytes, per packet",
    "corrupt": "fraction of video packets whose content is overwritten",
    "gaze-size": "every gaze payload has this many bytes",
    "report-late": "seconds from the start of a stream to its first sender report",
    "report-missing": "no sender reports",
    "clock-offset": "the phone's clock is ahead of the host's by this many seconds",
    "clock-drift": "the phone's clock is fast by this many parts per million",
    "clock-step": "the phone's clock jumps ahead by this many seconds",
    "clock-stamps": "RTP timestamps follow the phone's clock and jump with it",
    "camera-stall": "the scene camera sends nothing",
    "gaze-stall": "gaze sends nothing",
    "off": "the glasses are taken off",
    "blink": "the wearer blinks (eyes closed for 0.2 s, every half second)",
    "unplugged": "the glasses are not connected to the phone",
    "refuse": "the phone's ports are closed",
    "reset": "every stream's connection is reset, once",
    "half-open": "connections stay open, but nothing is sent or answered",
    "restart": "the app is down, then back with other ports and parameters",
    "companion": "as Companion 2.9.31 over TCP: no `interleaved` in the answer, and an error line"
    " between frames for every receiver report",
}

MOST_VALUE = 1e6
_SHARES = ("loss", "burst", "reorder", "duplicate", "garbage", "corrupt", "jitter")


class FaultSyntax(ValueError):
    """A plan of faults that can't be read. The message is one line."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: active from `start` for `seconds`, counted from the start of the emulator."""

    name: str
    value: float = 1.0
    start: float = 0.0
    seconds: float = math.inf

    def active(self, elapsed: float) -> bool:
        return self.start <= elapsed < self.start + self.seconds

    def __str__(self) -> str:
        value = "" if self.value == 1.0 else f"={self.value:g}"
        start = "" if self.start == 0.0 and math.isinf(self.seconds) else f"@{self.start:g}"
        seconds = "" if math.isinf(self.seconds) else f"+{self.seconds:g}"
        return f"{self.name}{value}{start}{seconds}"


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """All the faults of a run."""

    faults: tuple[Fault, ...] = ()

    def value(self, name: str, elapsed: float) -> float:
        """The value of the fault `name` at `elapsed` seconds; 0 while it is not active."""
        return max(
            (f.value for f in self.faults if f.name == name and f.active(elapsed)), default=0.0
        )

    def total(self, name: str, elapsed: float) -> float:
        """The sum over all faults `name` that have begun by `elapsed` (steps of a clock)."""
        return sum(f.value for f in self.faults if f.name == name and f.start <= elapsed)

    def begun(self, name: str, elapsed: float) -> int:
        """How many faults `name` have begun by `elapsed`."""
        return sum(f.name == name and f.start <= elapsed for f in self.faults)

    def plus(self, fault: Fault) -> FaultPlan:
        return replace(self, faults=(*self.faults, fault))

    def __str__(self) -> str:
        return ",".join(map(str, self.faults))


def parse_faults(text: str) -> FaultPlan:
    """Read `NAME[=VALUE][@START[+SECONDS]],...` or `soak:SEED:SECONDS`. Raises FaultSyntax."""
    if text.startswith("soak:"):
        try:
            seed, seconds = text.removeprefix("soak:").split(":")
            return soak_plan(int(seed), float(seconds))
        except ValueError:
            raise FaultSyntax(f"{text!r} should read soak:SEED:SECONDS, as in soak:1:600") from None
    return FaultPlan(tuple(_parse_fault(part.strip()) for part in text.split(",") if part.strip()))


def _parse_fault(text: str) -> Fault:
    head, _, window = text.partition("@")
    name, _, value = head.partition("=")
    start, _, seconds = window.partition("+")
    if name not in MEANINGS:
        raise FaultSyntax(f"there is no fault {name!r}; known: {', '.join(MEANINGS)}")
    try:
        numbers = float(value or 1.0), float(start or 0.0), float(seconds or math.inf)
        if not (abs(numbers[0]) <= MOST_VALUE and numbers[1] >= 0 and numbers[2] >= 0):
            raise ValueError(text)
        return Fault(name, *numbers)
    except ValueError:
        raise FaultSyntax(
            f"{text!r} should read NAME[=VALUE][@START[+SECONDS]], as in loss=0.01@5+10"
        ) from None


def soak_plan(seed: int, seconds: float) -> FaultPlan:
    """Every kind of fault in a drawn order, one after the other with pauses, for a long run.

    The first and the last 5 s are quiet. The same seed gives the same plan.
    """
    draw = random.Random(seed)
    faults = [Fault("clock-offset", draw.uniform(-3, 3)), Fault("clock-drift", 100.0)]
    names = [name for name in MEANINGS if name not in {fault.name for fault in faults}]
    names = [name for name in names if name not in ("clock-stamps", "companion", "report-late")]
    moment = 5.0
    while True:
        for name in draw.sample(names, len(names)):
            length = draw.uniform(1.0, 4.0)
            if moment + length > seconds - 5.0:
                return FaultPlan(tuple(faults))
            faults.append(Fault(name, _drawn_value(name, draw), round(moment, 3), round(length, 3)))
            moment += length + draw.uniform(2.0, 5.0)


def _drawn_value(name: str, draw: random.Random) -> float:
    if name == "gaze-size":
        return 11.0
    if name == "clock-step":
        return draw.choice((-5.0, -0.5, 0.5, 5.0))
    if name in _SHARES:
        return round(draw.choice((0.001, 0.01, 0.05)), 3)
    return 1.0
