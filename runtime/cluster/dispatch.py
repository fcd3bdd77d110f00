"""Who gets which unit: the largest first, one by one, and again elsewhere where one is lost.

A worker is given its next unit when the last one is written, so that no more results wait than
there are workers.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from runtime.cluster.units import ClusterError, Parcel, Store, Unit, largest_first
from runtime.errors import RuntimeFault


@dataclass(frozen=True, slots=True)
class Opened:
    """A worker is ready; `conditions` as its work says."""

    worker: str
    conditions: bytes


@dataclass(frozen=True, slots=True)
class Beat:
    """A worker has got on with its unit."""

    worker: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A worker has done its unit."""

    worker: str
    parcel: Parcel


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker could not do its unit, or not open its work, and lives."""

    worker: str
    cause: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker is gone."""

    worker: str
    cause: str


Event = Opened | Beat | Finished | Failed | Lost


class Place(Protocol):
    """Where workers live. Each has a name that no other ever had."""

    def start(self) -> str:
        """Start a worker, which is heard of when it is ready."""

    def give(self, worker: str, key: str) -> None:
        """Have a worker do a unit."""

    def wait(self, seconds: float) -> Sequence[Event]:
        """What has come about, or nothing after so long."""

    def end(self, worker: str) -> None:
        """End a worker, whatever it is doing; nothing is heard of it any more."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`tries`: of a unit before it is skipped. `stalled_after`: seconds without getting on."""

    tries: int = 3
    stalled_after: float = 600.0
    poll: float = 1.0


@dataclass(frozen=True, slots=True)
class Given:
    """A unit at work; `beat_at`: when its worker was last seen to get on."""

    unit: Unit
    beat_at: float


@dataclass(frozen=True, slots=True)
class Happened:
    """Something for a display and a log. `what`: written, again, skipped or refused."""

    what: str
    worker: str
    unit: Unit | None = None
    parcel: Parcel | None = None
    cause: str = ""


class Dispatcher:
    """Has units done at a place and their results kept in a store."""

    def __init__(
        self,
        place: Place,
        store: Store,
        rules: Rules = Rules(),
        heard: Callable[[Happened], None] = lambda happened: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place, self._store, self._rules = place, store, rules
        self._heard, self._clock = heard, clock
        self._waiting: deque[Unit] = deque()
        self._given: dict[str, Given] = {}
        self._opening: set[str] = set()
        self._idle: set[str] = set()
        self._failed: defaultdict[str, set[str]] = defaultdict(set)
        self._tries: Counter[str] = Counter()
        self._lost_opening = 0
        self._refused = "no worker could be started"

    def run(self, units: list[Unit], workers: int) -> None:
        """Do all of them. Raises ClusterError where no worker is left, and what the store does."""
        self._waiting.extend(largest_first(units))
        for _ in range(min(workers, len(units))):
            self._start()
        try:
            while self._waiting or self._given:
                if not self._living:
                    raise ClusterError(f"no worker is left: {self._refused}")
                for event in self._place.wait(self._rules.poll):
                    self._take(event)
                self._end_stalled()
                for worker in sorted(self._idle):
                    self._give(worker)
        finally:
            for worker in sorted(self._living):
                self._place.end(worker)

    @property
    def _living(self) -> set[str]:
        return self._opening | self._idle | self._given.keys()

    def _start(self) -> None:
        self._opening.add(self._place.start())

    def _take(self, event: Event) -> None:
        worker = event.worker
        if isinstance(event, Beat):
            if (given := self._given.get(worker)) is not None:
                self._given[worker] = Given(given.unit, self._clock())
        elif worker in self._opening:
            self._take_opening(event)
        elif isinstance(event, Finished) and worker in self._given:
            unit = self._given[worker].unit
            self._store.write(event.parcel)
            del self._given[worker]
            self._idle.add(worker)
            self._heard(Happened("written", worker, unit, event.parcel))
        elif isinstance(event, Failed) and worker in self._given:
            self._again(worker, event.cause)
            self._idle.add(worker)
        elif isinstance(event, Lost) and worker in self._living:
            self._idle.discard(worker)
            self._replace(worker, event.cause)

    def _take_opening(self, event: Event) -> None:
        """A worker that comes, or does not: three that are lost in a row are not replaced."""
        worker = event.worker
        self._opening.discard(worker)
        if isinstance(event, Opened):
            self._lost_opening = 0
            try:
                self._store.accept(event.conditions)
            except RuntimeFault as error:
                self._refuse(worker, str(error))
            else:
                self._idle.add(worker)
        elif isinstance(event, Lost) and self._lost_opening + 1 < self._rules.tries:
            self._lost_opening += 1
            self._start()
        elif isinstance(event, Lost | Failed):
            self._refuse(worker, event.cause)

    def _refuse(self, worker: str, cause: str) -> None:
        self._refused = cause
        self._place.end(worker)
        self._heard(Happened("refused", worker, cause=cause))

    def _replace(self, worker: str, cause: str) -> None:
        if worker in self._given:
            self._again(worker, cause)
        if self._waiting:
            self._start()

    def _end_stalled(self) -> None:
        limit = self._clock() - self._rules.stalled_after
        for worker, given in list(self._given.items()):
            if given.beat_at < limit:
                self._place.end(worker)
                self._replace(worker, f"nothing came of it for {self._rules.stalled_after:g} s")

    def _again(self, worker: str, cause: str) -> None:
        """The unit of a worker goes back in front of all others, or is skipped."""
        unit = self._given.pop(worker).unit
        self._tries[unit.key] += 1
        self._failed[unit.key].add(worker)
        if self._tries[unit.key] < self._rules.tries:
            self._waiting.appendleft(unit)
            self._heard(Happened("again", worker, unit, cause=cause))
            return
        self._store.skip(unit, f"tried {self._rules.tries} times: {cause}")
        self._heard(Happened("skipped", worker, unit, cause=cause))

    def _give(self, worker: str) -> None:
        """The next unit that this worker has not failed at, unless all have."""
        for place, unit in enumerate(self._waiting):
            failed = self._failed[unit.key]
            if worker not in failed or self._living <= failed:
                del self._waiting[place]
                self._idle.discard(worker)
                self._given[worker] = Given(unit, self._clock())
                self._place.give(worker, unit.key)
                return
