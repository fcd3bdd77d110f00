"""What of a recording is not taken as it is written: counted by cause, said in one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from devices.device import DeviceError

LEAST_SHARE = 0.5
"""With more lost than kept, what is left hardly belongs together: it is refused."""

Treatment = Literal["left out", "put in order of time", "taken as no gaze", "rounded"]


@dataclass(frozen=True, slots=True)
class Loss:
    """`count` of `total` things of a kind that were not taken as they are written.

    Only what was "left out" is missing from what is played: total = played + left out.
    """

    noun: str
    treatment: Treatment
    cause: str
    count: int
    total: int

    @property
    def line(self) -> str:
        """For a person."""
        cause = f" ({self.cause})" if self.cause else ""
        return f"{self.count} of {self.total} {self.noun} {self.treatment}{cause}"


class Tally:
    """Collects the losses of one recording while it is read."""

    def __init__(self, path: Path, strict: bool = False) -> None:
        """`strict`: refuse a recording that has any."""
        self._path = path
        self._strict = strict
        self._counts: dict[tuple[str, Treatment, str], int] = {}
        self._totals: dict[str, int] = {}
        self._remarks: list[str] = []

    @property
    def losses(self) -> tuple[Loss, ...]:
        """All of them, in the order in which they were met."""
        return tuple(
            Loss(noun, treatment, cause, count, self._totals[noun])
            for (noun, treatment, cause), count in self._counts.items()
        )

    def expect(self, noun: str, total: int) -> None:
        """So many more things of a kind are said to be there."""
        self._totals[noun] = self._totals.get(noun, 0) + total

    def count(self, noun: str, treatment: Treatment, cause: str, count: int) -> None:
        """Count some of what is expected; nothing for 0."""
        if count:
            key = noun, treatment, cause
            self._counts[key] = self._counts.get(key, 0) + int(count)

    def leave_out(self, noun: str, cause: str, count: int) -> None:
        """Count what is left out. Raises nothing: `settle` judges the whole."""
        self.count(noun, "left out", cause, count)

    def remark(self, line: str) -> None:
        """Something that is amiss without a loss that can be counted."""
        self._remarks.append(line)

    def judge(self, noun: str) -> None:
        """Raises DeviceError where too little of a kind remains."""
        total = self._totals.get(noun, 0)
        of_kind = [loss for loss in self.losses if loss.noun == noun]
        lost = sum(loss.count for loss in of_kind if loss.treatment == "left out")
        if lost > (1 - LEAST_SHARE) * total:
            raise DeviceError(
                f"{self._path}: {'; '.join(loss.line for loss in of_kind)}: more than half of its "
                f"{noun} would be lost, and what is left hardly belongs together: copy or download "
                "the recording again"
            )

    def settle(self) -> tuple[str, ...]:
        """The line about all that was lost, if anything was.

        Raises DeviceError for any loss if it is strict.
        """
        losses = self.losses
        parts = [*(loss.line for loss in losses), *self._remarks]
        if not parts:
            return ()
        line = f"{self._path}: {'; '.join(parts)}"
        if self._strict:
            raise DeviceError(f"{line}: refused, because --strict takes nothing but whole ones")
        return (line,)
