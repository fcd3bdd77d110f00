"""How many of the phone's packets are lost."""

from __future__ import annotations

from collections import deque

from devices.clock import NANOSECONDS

LOSS_WINDOW = 10 * NANOSECONDS
LEAST_PACKETS, LEAST_LOST = 500, 2
"""Fewer packets than these say nothing about the loss."""


class LossMeter:
    """The fraction of packets lost within the last seconds, over all streams."""

    def __init__(self) -> None:
        self._history: deque[tuple[int, int, int]] = deque()

    def measure(self, now: int, expected: int, lost: int) -> float | None:
        """Take the totals so far; None while there is too little to go by."""
        self._history.append((now, expected, lost))
        while now - self._history[0][0] > LOSS_WINDOW:
            self._history.popleft()
        _, expected_before, lost_before = self._history[0]
        packets, missing = expected - expected_before, lost - lost_before
        if packets < LEAST_PACKETS or 0 < missing < LEAST_LOST:
            return None
        return missing / packets
