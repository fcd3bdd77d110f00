"""Visits: runs of fixations on one thing; and what is counted of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from runtime.coding.results import CodedFixation, Coding


@dataclass(frozen=True, slots=True)
class Visit:
    """Fixations on a thing with none on another in between. `thing`: as of `CodedFixation`."""

    thing: str
    fixations: tuple[CodedFixation, ...]

    @property
    def started_at(self) -> int:
        """Unix ns."""
        return self.fixations[0].row.started_at

    @property
    def ended_at(self) -> int:
        """Unix ns."""
        return max(each.row.ended_at for each in self.fixations)

    @property
    def milliseconds(self) -> float:
        """From its first fixation's start to its last one's end."""
        return (self.ended_at - self.started_at) / 1e6


@dataclass(frozen=True, slots=True)
class ThingMetrics:
    """What one recording says of one thing. Times in milliseconds, None where it was not looked at.

    `first`: from the recording's first frame to its first fixation. `share`: of the time of all
    fixations. A fixation on several things counts for each; visits go by the first of them.
    """

    thing: str
    fixations: int
    total: float
    average: float | None
    first: float | None
    visits: int
    visit_average: float | None
    share: float

    @property
    def revisits(self) -> int:
        """Visits after the first."""
        return max(self.visits - 1, 0)


def visits_of(fixations: Sequence[CodedFixation]) -> list[Visit]:
    """All visits in order of time; fixations on nothing that is known are visits of nothing."""
    runs = groupby(fixations, key=lambda each: each.thing)
    return [Visit(thing, tuple(run)) for thing, run in runs]


def metrics_of(coding: Coding) -> list[ThingMetrics]:
    """Of each thing, in the order of `Coding.things`."""
    whole = sum(each.milliseconds for each in coding.fixations)
    visits = visits_of(coding.fixations)
    start = coding.source.read.start
    found = []
    for thing in coding.things:
        on = [each for each in coding.fixations if thing in each.things]
        own = [visit for visit in visits if visit.thing == thing]
        total = sum(each.milliseconds for each in on)
        found.append(
            ThingMetrics(
                thing,
                len(on),
                total,
                total / len(on) if on else None,
                (on[0].row.started_at - start) / 1e6 if on else None,
                len(own),
                sum(visit.milliseconds for visit in own) / len(own) if own else None,
                total / whole if whole else 0.0,
            )
        )
    return found


def transitions_of(coding: Coding) -> Counter[tuple[str, str]]:
    """How often gaze went from one thing to another, what is unknown in between left out."""
    known = [visit.thing for visit in visits_of(coding.fixations) if visit.thing]
    return Counter((one, other) for one, other in pairwise(known) if one != other)
