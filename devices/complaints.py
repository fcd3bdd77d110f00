"""What goes wrong often is said seldom: one line a second for each cause, with its count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from devices.clock import NANOSECONDS
from devices.printable import printable

SPACING = NANOSECONDS
MOST_CAUSES = 50
OTHERS = "other faults"
REASON_LENGTH = 100


def reason(error: BaseException) -> str:
    """An exception in a few printable words."""
    return printable(f"{type(error).__name__}: {error}".removesuffix(": "), REASON_LENGTH)


class Complaints:
    """Tells the first fault of a cause at once, and what follows at most once a second.

    `total` counts them all. Used from one thread.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        """`note` takes a line for a person."""
        self._note = note
        self._told_at: dict[str, int] = {}
        self._untold: Counter[str] = Counter()
        self.total = 0

    def add(self, line: str, now: int) -> None:
        """One more fault at `now` (Unix ns); the line is its cause, too."""
        self.total += 1
        if line not in self._told_at and len(self._told_at) >= MOST_CAUSES:
            line = OTHERS
        self._untold[line] += 1
        self._tell(line, now)

    def look(self, now: int) -> None:
        """Tell what is due by `now` (Unix ns)."""
        for line in list(self._untold):
            self._tell(line, now)

    def _tell(self, line: str, now: int) -> None:
        if now - self._told_at.get(line, -SPACING) < SPACING:
            return
        count = self._untold.pop(line)
        self._note(line if count == 1 else f"{line} ({count} times)")
        self._told_at[line] = now
