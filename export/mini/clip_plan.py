"""Which clips are drawn for training, and how often each task is asked about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from devices.synthetic.questions import (
    FAP,
    FREE,
    GSM,
    GTA,
    NFI,
    OAA,
    OAR,
    OI_EASY,
    OI_HARD,
    OTP,
    SR,
)
from export.mini.sizes import MOST_STEPS

PRESENT = {
    OI_EASY: 4.0,
    OI_HARD: 4.0,
    OAR: 4.0,
    FAP: 2.0,
    GTA: 8.0,
    OAA: 1.5,
    SR: 0.7,
    FREE: 4.0,
}
PAST = {NFI: 8.0, OTP: 8.0, GSM: 3.0}


@dataclass(frozen=True, slots=True)
class ClipLength:
    """Clips of `fewest` to `most` steps come `clips` to a batch, in a `share` of the batches."""

    fewest: int
    most: int
    clips: int
    share: float


@dataclass(frozen=True, slots=True)
class DrawnClips:
    """Which clips are drawn, and how many questions are asked about each.

    `alerts`: the weight of alerts about gaze among the tasks, see PRESENT.
    """

    lengths: tuple[ClipLength, ...] = (
        ClipLength(1, 1, 16, 0.42),
        ClipLength(2, 2, 14, 0.2),
        ClipLength(3, 5, 10, 0.22),
        ClipLength(6, 10, 6, 0.11),
        ClipLength(11, MOST_STEPS, 4, 0.05),
    )
    questions: int = 4
    alerts: float = PRESENT[GTA]

    @property
    def seeing(self) -> DrawnClips:
        """Many frames and few questions, for a stage that asks none."""
        return DrawnClips((ClipLength(3, 3, 12, 1.0),), questions=1)

    @property
    def last(self) -> DrawnClips:
        """For the last stages: alerts are learned long before letters."""
        return replace(self, alerts=self.alerts / 2)
