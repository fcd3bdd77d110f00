"""What a comparison of two readings found, as figures: one that agrees, or one per difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import Any

from runtime.bundle.manifest import ParityFigure

MOST_NAMED = 8  # differences of one kind that get a line each


def agreed(subject: str, case: str, difference: float = 0.0, bound: float = 0.0) -> ParityFigure:
    """A figure that holds if `difference` is at most `bound`; not a number never is."""
    return ParityFigure(subject, case, difference, bound)


def differs(subject: str, case: str, difference: float = inf) -> ParityFigure:
    """A figure that does not hold; JSON has no infinity, so what has no size is 1."""
    return ParityFigure(subject, case, difference if 0 < difference < inf else 1.0, 0.0)


def entries(
    subject: str, source: str, oracle: str, compared: Iterable[tuple[str, Any, Any]]
) -> Iterator[ParityFigure]:
    """`compared`: (entry, ours, theirs); equal means equal, to the last digit."""
    table = list(compared)
    different = [each for each in table if each[1] != each[2]]
    for name, ours, theirs in different:
        yield differs(subject, f"{source}: {name} is {ours!r} here and {theirs!r} in {oracle}")
    if not different:
        told = table[0][0] if len(table) == 1 else f"{len(table)} entries"
        yield agreed(subject, f"{told} of {source}, as {oracle} has it")
