"""The network between the phone and its client: what becomes of a packet on its way."""

from __future__ import annotations

import random

from devices.emulator.faults import FaultPlan

BURST = 20
REORDER_DELAY = 0.005


class Link:
    """Loses, delays, repeats and adds packets as the plan of faults says; seeded.

    `ordered`: the link is TCP, which neither loses nor reorders.
    """

    def __init__(self, seed: int, ordered: bool) -> None:
        self._draw = random.Random(seed)
        self._ordered = ordered
        self._burst_left = 0
        self._last_due = 0.0

    def carry(self, packet: bytes, now: float, plan: FaultPlan) -> list[tuple[float, bytes]]:
        """What arrives of `packet`, sent at `now` (s): pairs of (when it arrives, bytes)."""
        due = now + self._draw.uniform(0, plan.value("jitter", now))
        if self._ordered:
            due = self._last_due = max(due, self._last_due + 1e-6)
            return [(due, packet)]
        arrivals = []
        if self._happens("garbage", now, plan):
            arrivals.append((due, self._draw.randbytes(self._draw.randint(1, 60))))
        if self._lost(now, plan):
            return arrivals
        if self._happens("reorder", now, plan):
            due += REORDER_DELAY
        arrivals.append((due, packet))
        if self._happens("duplicate", now, plan):
            arrivals.append((due + 0.001, packet))
        return arrivals

    def _happens(self, name: str, now: float, plan: FaultPlan) -> bool:
        share = plan.value(name, now)
        return share > 0 and self._draw.random() < share

    def _lost(self, now: float, plan: FaultPlan) -> bool:
        if self._burst_left:
            self._burst_left -= 1
            return True
        if self._happens("burst", now, plan):
            self._burst_left = BURST - 1
            return True
        return self._happens("loss", now, plan)

    def corrupted(self, payload: bytes, now: float, plan: FaultPlan) -> bytes:
        """A video packet's payload; where the plan says so, all but its first bytes overwritten."""
        if len(payload) > 40 and self._happens("corrupt", now, plan):
            return payload[:20] + self._draw.randbytes(len(payload) - 20)
        return payload
