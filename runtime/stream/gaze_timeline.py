"""Gaze as it was known at any recent moment.

Everything the tracker says is kept in order of capture until it can no longer matter. A state of
the fixation rule is fed with it: one settled state, from which nothing earlier is looked at any
more, and states further on, so that looking at the present costs only what is new, and an event
that comes late (frames do, behind gaze) only what was captured after it.
"""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, replace

from devices.bounds import NO_PLACE, is_somewhere
from devices.clock import NANOSECONDS
from devices.samples import Blink, Fixation, GazeSample
from runtime.stream.segments import FixationRule, FrameMark, GazeEvent

SPACING = 16  # events between two states that are kept


@dataclass(frozen=True, slots=True)
class GazeView:
    """What was known of gaze at a moment: the active fixations, and when gaze was captured.

    `gaze_at` (Unix ns) is the capture time of the newest gaze up to that moment, stale or not;
    None if there was none. `usable` says that it was fresh and the glasses were worn, or that no
    gaze is needed. `closed_since` (Unix ns): since when the tracker has said that there is no gaze,
    because the eyes are closed or the glasses off; None while it gives some.
    """

    fixations: tuple[Fixation, ...] = ()
    gaze_at: int | None = None
    usable: bool = False
    closed_since: int | None = None


@dataclass(slots=True)
class _State:
    """What is known after the first `fed` of the events that are kept."""

    rule: FixationRule
    newest: GazeSample | None = None
    closed_since: int | None = None
    fed: int = 0

    def feed(self, event: GazeEvent) -> None:
        self.fed += 1
        self.rule.feed(event)
        if isinstance(event, GazeSample):
            self.newest = event
            if event.worn:
                self.closed_since = None
            elif self.closed_since is None:
                self.closed_since = event.captured_at

    def fork(self) -> _State:
        return _State(copy.copy(self.rule), self.newest, self.closed_since, self.fed)


class GazeTimeline:
    """The gaze of one stream. Times in Unix ns, limits in seconds."""

    def __init__(self, rule: FixationRule, min_open: float, gaze_age_limit: float) -> None:
        self.used = 0
        self.dropped: Counter[str] = Counter()
        self.is_awaited = rule.needs_gaze
        self.follows_scene = rule.follows_scene
        self._min_open = min_open
        self._age_limit = round(gaze_age_limit * NANOSECONDS)
        self._settled_at = 0
        self._events: list[GazeEvent] = []
        self._settled = _State(rule)
        self._scout = self._settled.fork()  # the latest moment that was looked at
        self._scouted_at = 0
        self._guard = self._settled.fork()  # how far fixations were looked for
        self._guarded_at = 0
        self._kept: list[_State] = []  # on the way to the scout
        self._begun: frozenset[int] = frozenset()

    def __len__(self) -> int:
        """How many events are kept."""
        return len(self._events)

    def add(self, event: GazeEvent) -> None:
        """Take what was captured. Gaze that comes too late to change anything is counted as late.

        An event of the eyes that comes late still says what lasts: it is known from now on. This is
        the last door before the model: what is nowhere is dropped here, whoever let it in.
        """
        if not is_somewhere(event):
            if isinstance(event, GazeSample):
                self.dropped[NO_PLACE] += 1
            return
        if event.captured_at < self._settled_at:
            if isinstance(event, GazeSample):
                self.dropped["late"] += 1
            if not isinstance(event, Fixation | Blink):
                return
            event = replace(event, captured_at=self._settled_at)
        if isinstance(event, GazeSample):
            self.used += 1
        place = bisect_right(self._events, _order(event), key=_order)
        self._events.insert(place, event)
        self._kept = [state for state in self._kept if state.fed <= place]
        if place < self._scout.fed:
            self._scout = self._nearest(place)
            fed = self._scout.fed
            self._scouted_at = self._events[fed - 1].captured_at if fed else self._settled_at
        if place < self._guard.fed:
            self._guard = self._nearest(place)

    def view(self, moment: int) -> GazeView:
        """Gaze as it was known at `moment`, which must not lie before what is settled."""
        if moment < self._scouted_at:
            return self._seen(self._at(moment), moment)
        while (event := self._next(self._scout, moment)) is not None:
            self._scout.feed(event)
            if self._scout.fed % SPACING == 0:
                self._kept.append(self._scout.fork())
        self._scouted_at = moment
        return self._seen(self._scout, moment)

    def confirmed(self, until: int) -> list[int]:
        """The moments up to `until` at which a fixation came to count, each told once."""
        moments = []
        while (event := self._next(self._guard, until)) is not None:
            self._guard.feed(event)
            if event.captured_at < self._guarded_at:
                continue  # told before
            view = self._seen(self._guard, event.captured_at)
            begun = frozenset(fixation.started_at for fixation in view.fixations)
            if begun - self._begun:
                moments.append(event.captured_at)
            self._begun = begun or self._begun
        self._guarded_at = max(self._guarded_at, until + 1)
        return moments

    def settle(self, moment: int) -> None:
        """No earlier moment than `moment` will be looked at any more."""
        self._settled = self._at(moment)
        gone, self._settled.fed = self._settled.fed, 0
        del self._events[:gone]
        self._settled_at = max(self._settled_at, moment)
        self._scout, self._guard = (
            self._moved(state, gone) for state in (self._scout, self._guard)
        )
        self._scouted_at = max(self._scouted_at, self._settled_at)
        self._kept = [state for state in self._kept if state.fed > gone]
        for state in self._kept:
            state.fed -= gone

    def _moved(self, state: _State, gone: int) -> _State:
        """A state after the first `gone` events were forgotten, which it must have seen."""
        if state.fed < gone:
            return self._settled.fork()
        state.fed -= gone
        return state

    def _nearest(self, fed: int) -> _State:
        """The farthest known state that has seen no more than so many of the events."""
        known = [state for state in self._kept if state.fed <= fed]
        return (known[-1] if known else self._settled).fork()

    def _at(self, moment: int) -> _State:
        """What was known at `moment` (Unix ns), not before what is settled."""
        seen = bisect_right(self._events, moment, key=lambda event: event.captured_at)
        state = self._nearest(seen)
        while (event := self._next(state, moment)) is not None:
            state.feed(event)
        return state

    def _next(self, state: _State, until: int) -> GazeEvent | None:
        if state.fed == len(self._events) or self._events[state.fed].captured_at > until:
            return None
        return self._events[state.fed]

    def _seen(self, state: _State, moment: int) -> GazeView:
        newest = state.newest
        gaze_at = newest.captured_at if newest else None
        fresh = (
            newest is not None and newest.worn and moment - newest.captured_at <= self._age_limit
        )
        if self.is_awaited and not fresh:
            return GazeView((), gaze_at, False, state.closed_since)
        return GazeView(state.rule.active(moment, self._min_open), gaze_at, True)


def _order(event: GazeEvent) -> tuple[int, int]:
    """By capture time; at the same time gaze before the frame that is to take it."""
    kinds = (Blink, Fixation, GazeSample, FrameMark)
    return event.captured_at, kinds.index(type(event))
