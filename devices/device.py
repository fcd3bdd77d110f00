"""What every device is to its user: connect, poll, the newest sample under an age limit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeVar

from devices.clock import NANOSECONDS, Clock
from devices.samples import GazeSample, Sample, SceneFrame

Timed = TypeVar("Timed", SceneFrame, GazeSample)


class DeviceError(Exception):
    """A device can't be used. The message is one line: what is wrong and what to do about it."""


class StaleSample(DeviceError):
    """There is no sample young enough."""


class UnbalancedAccounts(RuntimeWarning):
    """What was received is not what was used and what was dropped: a fault of this program."""


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What is known of a device once it is connected.

    Rates are nominal, in Hz, None where unknown. `starts_at` and `ends_at` (Unix ns) bound what can
    be captured: None where a live stream has no such bound. `gaze_from` says where gaze comes from
    when it is no eye tracker ("mouse", "centre", "fixation file"), else None. `detects_fixations`:
    whether its own fixations are among the samples. `field_of_view`: of the scene camera, across
    and down, in degrees; None where unknown. `hears`: whether sound is among the samples.
    """

    name: str
    frame_width: int
    frame_height: int
    frame_rate: float | None
    gaze_rate: float | None
    starts_at: int | None = None
    ends_at: int | None = None
    gaze_from: str | None = None
    detects_fixations: bool = False
    field_of_view: tuple[float, float] | None = None
    hears: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """What arrived since the last poll, in order of arrival.

    `frames_until`, `gaze_until` (Unix ns): everything captured up to then has been delivered or
    dropped, so that what is decided about that time is final. `notices` are lines for a person.
    `ended`: nothing will ever follow (a recording was played to its end).
    """

    samples: tuple[Sample, ...]
    frames_until: int
    gaze_until: int
    notices: tuple[str, ...] = ()
    ended: bool = False


@dataclass(frozen=True, slots=True)
class KnownAlert:
    """What to be alerted to, in a wearer's words, and the name of the thing that is meant."""

    text: str
    target: str


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """Samples of one kind since connecting: received = delivered + dropped by cause + waiting."""

    received: int = 0
    delivered: int = 0
    dropped: Mapping[str, int] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class DeviceCounts:
    """The counts of a device's streams; `sound` counts pieces."""

    frames: StreamCounts
    gaze: StreamCounts
    sound: StreamCounts = field(default_factory=StreamCounts)


@dataclass(frozen=True, slots=True)
class DeviceCondition:
    """How a device is doing; unknown is None.

    `battery_level` in percent. `worn`: whether someone wears it. `transport`: how its data travel.
    `loss`: the fraction of them that was lost lately.
    """

    battery_level: int | None
    worn: bool | None
    transport: str | None
    loss: float | None


class Device(ABC):
    """A source of samples.

    `clock` is the clock of its capture times; the runtime lives by it. Threads that a device needs
    are its own: `poll` and the rest are called from one thread and never block on the wire.
    """

    clock: Clock

    def __init__(self) -> None:
        self._newest_frame: SceneFrame | None = None
        self._newest_gaze: GazeSample | None = None

    @abstractmethod
    def connect(self) -> DeviceInfo:
        """Open the device. Raises DeviceError in one line if that can't be done."""

    @abstractmethod
    def disconnect(self) -> None:
        """Close it and leave no thread or socket behind. Calling it again does nothing."""

    @abstractmethod
    def counts(self) -> DeviceCounts:
        """What was received and dropped since connecting; still answers after disconnecting."""

    @abstractmethod
    def _collect(self) -> Delivery:
        """What arrived since the last call; never blocks."""

    def poll(self) -> Delivery:
        """Hand over what arrived since the last poll, in order of arrival; never blocks.

        Raises DeviceError when the device is lost for good.
        """
        delivery = self._collect()
        for sample in delivery.samples:
            if isinstance(sample, SceneFrame):
                self._newest_frame = sample
            elif isinstance(sample, GazeSample):
                self._newest_gaze = sample
        return delivery

    @property
    def known_alert(self) -> KnownAlert | None:
        """An alert worth setting, from a connected source that knows the truth; else None."""
        return None

    def looked_at(self, moment: int) -> str | None:
        """The name of what is looked at at `moment` (Unix ns), where that is known; else None.

        May be called from any thread.
        """
        return None

    def condition(self) -> DeviceCondition | None:
        """How it is doing; None where it can't tell. May be called from any thread.

        Raises DeviceError while it is not connected.
        """
        return None

    def newest_frame(self, max_age: float) -> SceneFrame:
        """The newest polled frame, captured at most `max_age` seconds ago; else StaleSample."""
        return self._fresh(self._newest_frame, "scene frame", max_age)

    def newest_gaze(self, max_age: float) -> GazeSample:
        """The newest polled gaze, captured at most `max_age` seconds ago; else StaleSample."""
        return self._fresh(self._newest_gaze, "gaze", max_age)

    def _fresh(self, sample: Timed | None, noun: str, max_age: float) -> Timed:
        if sample is None:
            raise StaleSample(f"no {noun} has arrived yet: check that the device is streaming")
        age = (self.clock.now() - sample.captured_at) / NANOSECONDS
        if age > max_age:
            raise StaleSample(
                f"the newest {noun} is {age:.3f} s old (limit {max_age:g} s): the stream stalled"
            )
        return sample

    def __enter__(self) -> DeviceInfo:
        return self.connect()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.disconnect()
