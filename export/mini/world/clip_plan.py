"""Which clips are drawn for training, and how often each task is asked about them."""

from __future__ import annotations

from dataclasses import dataclass

from devices.synthetic.questions import (
    FAP,
    FIX,
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
    FAP: 3.0,
    GTA: 3.0,
    OAA: 2.0,
    SR: 30.0,
    FREE: 2.0,
}
PAST = {NFI: 14.0, OTP: 30.0, GSM: 9.0, FIX: 8.0}
RARE = {OAA: 10.0, GTA: 5.0, OAR: 5.0, FAP: 4.0, SR: 40.0, OTP: 40.0}


@dataclass(frozen=True, slots=True)
class ClipLength:
    """Clips of `fewest` to `most` steps, in a `share` of the batches.

    `films` to a batch; of each, `takes` clips are made, looked at by different eyes.
    """

    fewest: int
    most: int
    films: int
    share: float
    takes: int = 1


@dataclass(frozen=True, slots=True)
class DrawnClips:
    """Which clips are drawn, and how many questions are asked about each.

    `rare_from`: the batch from which what is learned last is asked more often, see RARE.
    """

    lengths: tuple[ClipLength, ...] = (
        ClipLength(1, 1, 24, 0.15),
        ClipLength(2, 2, 16, 0.1),
        ClipLength(3, 5, 8, 0.35, takes=2),
        ClipLength(6, 10, 6, 0.25, takes=2),
        ClipLength(11, MOST_STEPS, 4, 0.15, takes=2),
    )
    questions: int = 4
    rare_from: int | None = None

    def weights(self, batch: int) -> dict[str, float]:
        """How often each task is asked about in a batch of a number."""
        rare = self.rare_from is not None and batch >= self.rare_from
        return PRESENT | PAST | (RARE if rare else {})

    @property
    def seeing(self) -> DrawnClips:
        """Many frames and few questions, for a stage that asks none."""
        return DrawnClips((ClipLength(3, 3, 12, 1.0),), questions=1)
