"""Units without work: their time is what handing them out costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.cluster.units import Parcel


class Nothing:
    """Gives an empty parcel for every unit."""

    conditions = b"{}"

    def do(self, key: str, heard: Callable[[], None]) -> Parcel:
        """Nothing."""
        return Parcel(key, b"", 0.0)


def open_work(arguments: Sequence[str]) -> Nothing:
    """As a worker opens it."""
    return Nothing()
