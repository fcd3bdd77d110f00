"""A courier: takes answers or alerts and carries each to one receiver, again where it failed."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

MOST_WAITING = 64  # parcels
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before each further attempt
NEWER, UNREACHED, REFUSED, ENDED = "newer came", "not reached", "refused", "run over"


class Undelivered(Exception):
    """The receiver was not reached, or can't take anything now: a later attempt may succeed."""


class Refused(Exception):
    """The receiver doesn't want this parcel: another attempt would end the same."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A record on its way. `body`: as JSON. `number`: the same in every attempt, no other's."""

    kind: Literal["answer", "alert"]
    body: bytes
    number: str


class Carrier(Protocol):
    """The way to one receiver. `name`: what a person calls it; holds no secret of its address."""

    name: str

    async def open(self) -> None:
        """Make ready. Raises Undelivered where the receiver is known to be out of reach."""

    async def carry(self, parcel: Parcel) -> None:
        """One attempt, of a bounded time. Raises Undelivered or Refused."""

    async def close(self) -> None:
        """Let go of everything."""


class Courier:
    """Carries parcels one after the other; lives in one event loop.

    Of too many that wait the oldest is dropped. taken = carried + lost by cause + waiting; one that
    is on its way waits.
    """

    def __init__(
        self,
        carrier: Carrier,
        kinds: tuple[str, ...],
        notice: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`kinds`: of the parcels that are taken. `notice`: hears lines for a person."""
        self.taken = self.carried = 0
        self.lost: Counter[str] = Counter()
        self.name = carrier.name
        self._carrier, self._kinds = carrier, kinds
        self._notice, self._sleep = notice, sleep
        self._waiting: deque[Parcel] = deque()
        self._filled = asyncio.Event()
        self._under_way = False
        self._is_reached = True

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is on its way."""
        return not (self._waiting or self._under_way)

    def take(self, parcel: Parcel) -> None:
        """Take a parcel of its kinds; returns at once."""
        if parcel.kind not in self._kinds:
            return
        self.taken += 1
        if len(self._waiting) == MOST_WAITING:
            self._waiting.popleft()
            self.lost[NEWER] += 1
        self._waiting.append(parcel)
        self._filled.set()

    async def work(self) -> None:
        """Carry whatever comes, until cancelled."""
        try:
            await self._carrier.open()
        except Undelivered as trouble:
            self._not_reached(trouble)
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                self._under_way = True
                await self._deliver(self._waiting.popleft())
                self._under_way = False

    async def close(self) -> None:
        """The run is over, and `work` cancelled: what still waits is lost, and said."""
        self.lost[ENDED] += len(self._waiting) + self._under_way
        self._waiting.clear()
        self._under_way = False
        if missing := {cause: count for cause, count in self.lost.items() if count}:
            causes = ", ".join(f"{count} {cause}" for cause, count in missing.items())
            said = f"{self.carried} of {self.taken} were carried, the others not: {causes}"
            self._notice(f"{self.name}: {said}")
        await self._carrier.close()

    async def _deliver(self, parcel: Parcel) -> None:
        for pause in (*PAUSES, None):
            try:
                await self._carrier.carry(parcel)
            except Undelivered as trouble:
                self._not_reached(trouble)
            except Refused as reason:
                self.lost[REFUSED] += 1
                if self.lost[REFUSED] == 1:
                    self._notice(f"{self.name}: {reason}: that is not sent again")
                return
            else:
                self._is_reached = True
                self.carried += 1
                return
            if pause is not None:
                await self._sleep(pause)
        self.lost[UNREACHED] += 1

    def _not_reached(self, trouble: Undelivered) -> None:
        """Say so where the attempt before had succeeded."""
        if self._is_reached:
            self._notice(f"{self.name}: {trouble}: it is tried again")
        self._is_reached = False
