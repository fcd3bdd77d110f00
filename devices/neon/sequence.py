"""RTP packets put back into the order in which they were sent, and what is missing among them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from devices.neon.wire import RtpPacket

RESTART = 3000
"""A jump of this many packets is a stream that began anew, not a loss."""
REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet in its turn. `gap`: packets before it are missing for good."""

    packet: RtpPacket
    arrived_at: int
    gap: bool


@dataclass(slots=True)
class Tally:
    """Packets since the start of a connection."""

    expected: int = 0
    lost: int = 0
    late: int = 0
    duplicates: int = 0


class Sequencer:
    """Holds packets back while an earlier one may still come.

    `patience` (ns) is how long it waits for a missing packet, `limit` how many packets it holds.
    """

    def __init__(self, patience: int, limit: int) -> None:
        self._patience = patience
        self._limit = limit
        self._next: int | None = None
        self._held: dict[int, tuple[RtpPacket, int]] = {}
        self._given_up: OrderedDict[int, None] = OrderedDict()
        self._gap = False
        self.tally = Tally()

    def push(self, packet: RtpPacket, arrived_at: int) -> list[Arrival]:
        """Take a packet; returns those whose turn has come."""
        if self._next is None:
            self._next = packet.sequence
        ahead = (packet.sequence - self._next + 2**15) % 2**16 - 2**15
        before: list[Arrival] = []
        if abs(ahead) > RESTART:
            while self._held:
                before += self._give_up()
            self._next, self._gap, ahead = packet.sequence, True, 0
        if ahead < 0:
            self._count_old(packet.sequence)
            return self.expire(arrived_at)
        if packet.sequence in self._held:
            self.tally.duplicates += 1
            return self.expire(arrived_at)
        self._held[packet.sequence] = (packet, arrived_at)
        ready = self._in_turn()
        if len(self._held) > self._limit:
            ready += self._give_up()
        return before + ready + self.expire(arrived_at)

    def expire(self, now: int) -> list[Arrival]:
        """Give up packets that have been missing for too long."""
        ready: list[Arrival] = []
        while self._held:
            oldest = min(arrived_at for _, arrived_at in self._held.values())
            if now - oldest < self._patience:
                break
            ready += self._give_up()
        return ready

    def _in_turn(self) -> list[Arrival]:
        ready = []
        while (entry := self._held.pop(self._next, None)) is not None:
            ready.append(Arrival(*entry, gap=self._gap))
            self._gap = False
            self.tally.expected += 1
            self._next = (self._next + 1) % 2**16
        return ready

    def _give_up(self) -> list[Arrival]:
        """Skip the missing packets before the first one held."""
        while self._next not in self._held:
            self._given_up[self._next] = None
            self.tally.expected += 1
            self.tally.lost += 1
            self._next = (self._next + 1) % 2**16
        while len(self._given_up) > REMEMBERED:
            self._given_up.popitem(last=False)
        self._gap = True
        return self._in_turn()

    def _count_old(self, sequence: int) -> None:
        if sequence in self._given_up:
            del self._given_up[sequence]
            self.tally.late += 1
        else:
            self.tally.duplicates += 1
