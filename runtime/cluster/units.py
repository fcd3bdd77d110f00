"""A unit of work: what it is called, what it costs, and what came of it, wherever it ran."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from runtime.errors import RuntimeFault


class ClusterError(RuntimeFault):
    """Work can't be spread as asked, in one line."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A video with its questions, or a recording. `key` names it wherever it runs.

    `cost`: what it is expected to take, in any measure that grows with its length; `size`: the
    results that it holds, for a progress display.
    """

    key: str
    cost: float
    size: int = 1


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a unit gave: `lines` of JSON, one per result, and files by their names.

    `seconds`: how long it took; `stages`: of these, seconds by stage.
    """

    key: str
    lines: bytes
    seconds: float
    stages: dict[str, float] = field(default_factory=dict)
    files: tuple[tuple[str, bytes], ...] = ()


class Work(Protocol):
    """What a worker holds open. `conditions`: JSON of all that its results depend on."""

    conditions: bytes

    def do(self, key: str, heard: Callable[[], None]) -> Parcel:
        """The unit of that key; `heard` is called as it gets on."""


class Store(Protocol):
    """Where results go: the only one that writes."""

    def accept(self, conditions: bytes) -> None:
        """Raises RuntimeFault for a worker whose results would not belong to these."""

    def write(self, parcel: Parcel) -> None:
        """Keep what a unit gave, whole. Raises RuntimeFault where that can't be done."""

    def skip(self, unit: Unit, cause: str) -> None:
        """Keep that a unit can't be done."""


@dataclass(frozen=True, slots=True)
class Opener:
    """How a worker opens its work: `name` is MODULE:FUNCTION, which takes the arguments of a
    command line. Nothing that is opened travels."""

    name: str
    arguments: tuple[str, ...]

    def open(self) -> Work:
        """Open it here."""
        module, function = self.name.split(":")
        return getattr(importlib.import_module(module), function)(self.arguments)


def largest_first(units: list[Unit]) -> list[Unit]:
    """In the order in which they are handed out; alike ones by their keys."""
    return sorted(units, key=lambda unit: (-unit.cost, unit.key))
