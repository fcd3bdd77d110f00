"""`--shard I/N`: which units a machine takes that knows of no other."""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.cluster.units import Unit, largest_first


@dataclass(frozen=True, slots=True)
class Shard:
    """The part `index` of `count`, from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Of I/N, as an argument's type."""
        first, slash, second = text.partition("/")
        if not slash or not (first.isdecimal() and second.isdecimal()):
            raise argparse.ArgumentTypeError(f"{text!r} is not I/N, as in 1/3")
        if not 1 <= int(first) <= int(second):
            raise argparse.ArgumentTypeError(f"{text!r}: I goes from 1 to N")
        return cls(int(first), int(second))

    def of(self, units: Sequence[Unit]) -> frozenset[str]:
        """The keys of its units: the largest first, each to the part that has least so far."""
        loads = [(0.0, index) for index in range(1, self.count + 1)]
        own = set()
        for unit in largest_first(list(units)):
            load, index = heapq.heappop(loads)
            heapq.heappush(loads, (load + unit.cost, index))
            if index == self.index:
                own.add(unit.key)
        return frozenset(own)
