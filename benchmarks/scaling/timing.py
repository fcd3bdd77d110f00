"""How long units take in this process, and at a place with so many workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtime.cluster.dispatch import Dispatcher, Event, Failed, Lost, Opened, Place
from runtime.cluster.units import ClusterError, Opener, Parcel, Unit, largest_first

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Job:
    """Units, and how what does them is opened."""

    opener: Opener
    units: tuple[Unit, ...]

    @property
    def results(self) -> int:
        """How many there are in all units."""
        return sum(unit.size for unit in self.units)


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds until all workers were ready, and from then to the last result."""

    opening: float
    working: float


def in_this_process(job: Job, clock: Clock = time.perf_counter) -> Timed:
    """One unit after another, in the order in which they are handed out."""
    began = clock()
    work = job.opener.open()
    opened = clock()
    for unit in largest_first(list(job.units)):
        work.do(unit.key, lambda: None)
    return Timed(opened - began, clock() - opened)


def at_place(job: Job, place: Place, workers: int, clock: Clock = time.perf_counter) -> Timed:
    """With so many workers, at most as many as units, who all begin together.

    Raises ClusterError where a worker does not open, and where a unit is not done.
    """
    began = clock()
    watched = _Together(place, workers, clock)
    store = _Last(clock)
    Dispatcher(watched, store).run(list(job.units), workers)
    return Timed(watched.opened_at - began, store.written_at - watched.opened_at)


class _Together:
    """A place whose workers are heard of when all of them are ready."""

    def __init__(self, place: Place, workers: int, clock: Clock) -> None:
        self._place, self._workers, self._clock = place, workers, clock
        self._opened: list[Event] = []
        self.opened_at = 0.0
        self.start, self.give, self.end = place.start, place.give, place.end

    def wait(self, seconds: float) -> Sequence[Event]:
        events = self._place.wait(seconds)
        if len(self._opened) == self._workers:
            return events
        for event in events:
            if isinstance(event, Failed | Lost):
                raise ClusterError(f"{event.worker} does not open: {event.cause}")
            if isinstance(event, Opened):
                self._opened.append(event)
        if len(self._opened) < self._workers:
            return ()
        self.opened_at = self._clock()
        return self._opened


class _Last:
    """A store that keeps when the last result came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.written_at = 0.0

    def accept(self, conditions: bytes) -> None:
        """Whatever a worker says of itself."""

    def write(self, parcel: Parcel) -> None:
        self.written_at = self._clock()

    def skip(self, unit: Unit, cause: str) -> None:
        raise ClusterError(f"{unit.key}: {cause}")
