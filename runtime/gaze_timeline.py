"""Gaze as it was known at any recent moment.

Everything the tracker says is kept in order of capture until it can no longer matter. Looking at a
moment feeds a copy of the fixation rule; settling moves the rule itself and forgets.
"""

from __future__ import annotations

import copy
from bisect import insort
from collections import Counter
from dataclasses import dataclass

from devices.clock import NANOSECONDS
from devices.samples import Blink, Fixation, GazeSample
from runtime.fixation_rules import FixationRule, FrameMark, GazeEvent


@dataclass(frozen=True, slots=True)
class GazeView:
    """What was known of gaze at a moment: the active fixations, and when gaze was captured.

    `gaze_at` (Unix ns) is the capture time of the newest gaze up to that moment, stale or not;
    None if there was none. `usable` says that it was fresh and the glasses were worn.
    """

    fixations: tuple[Fixation, ...] = ()
    gaze_at: int | None = None
    usable: bool = False


class GazeTimeline:
    """The gaze of one stream. Times in Unix ns, limits in seconds."""

    def __init__(self, rule: FixationRule, min_open: float, gaze_age_limit: float) -> None:
        self.used = 0
        self.dropped: Counter[str] = Counter()
        self._rule = rule
        self._min_open = min_open
        self._age_limit = round(gaze_age_limit * NANOSECONDS)
        self._newest: GazeSample | None = None
        self._settled = 0
        self._pending: list[GazeEvent] = []

    def add(self, event: GazeEvent) -> None:
        """Take what was captured; what comes too late to change anything is counted as late."""
        if event.captured_at < self._settled:
            if isinstance(event, GazeSample):
                self.dropped["late"] += 1
            return
        if isinstance(event, GazeSample):
            self.used += 1
        insort(self._pending, event, key=_order)

    def view(self, moment: int) -> GazeView:
        """Gaze as it was known at `moment`, which must not lie before what is settled."""
        rule, newest = copy.copy(self._rule), self._newest
        for event in self._pending:
            if event.captured_at > moment:
                break
            rule.feed(event)
            newest = event if isinstance(event, GazeSample) else newest
        return self._seen(rule, newest, moment)

    def settle(self, moment: int) -> None:
        """No earlier moment than `moment` will be looked at any more."""
        count = 0
        for event in self._pending:
            if event.captured_at > moment:
                break
            self._rule.feed(event)
            self._newest = event if isinstance(event, GazeSample) else self._newest
            count += 1
        del self._pending[:count]
        self._settled = max(self._settled, moment)

    def _seen(self, rule: FixationRule, newest: GazeSample | None, moment: int) -> GazeView:
        gaze_at = newest.captured_at if newest else None
        fresh = (
            newest is not None and newest.worn and moment - newest.captured_at <= self._age_limit
        )
        if rule.needs_gaze and not fresh:
            return GazeView((), gaze_at, usable=False)
        return GazeView(rule.active(moment, self._min_open), gaze_at, usable=True)


def _order(event: GazeEvent) -> tuple[int, int]:
    """By capture time; at the same time gaze before the frame that is to take it."""
    kinds = (Blink, Fixation, GazeSample, FrameMark)
    return event.captured_at, kinds.index(type(event))
