"""What is trained when, in which order and how fast: the stages that `training` describes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from export.mini.world.clip_plan import DrawnClips

Stage = Literal["seeing", "locating", "answering", "rounding", "second stage"]

STAGES: tuple[Stage, ...] = ("seeing", "locating", "answering", "rounding", "second stage")
WHOLE: tuple[Stage, ...] = ("answering", "rounding")  # all but V-JEPA learns


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How long each stage lasts, in steps, and how fast it learns."""

    seed: int = 0
    seeing: int = 800
    locating: int = 250
    answering: int = 2600
    rounding: int = 450
    second_stage: int = 200
    rates: tuple[float, ...] = (1.5e-3, 1.5e-3, 1e-3, 4e-4, 1e-3)
    ends: tuple[float, ...] = (0.03, 0.03, 0.4, 0.03, 0.03)  # of these rates, that stages end with
    warm_up: int = 50
    located_share: float = 0.2  # of the rate, for the resampler once it has learned to locate
    plateau: float = 0.2  # share of a stage before its rate falls
    gazes: int = 8  # draws of gaze, and so steps of the resampler, per batch while locating
    hints: float = 0.6
    hinted_steps: int = 700
    support: float = 0.3  # weight of the parts' own targets while the whole learns to answer
    seen_steps: int = 24  # of a batch, for the vision tower to learn from, up to `later`
    option_weight: float = 3.0  # within those, of the decoder's judgement of each option
    facts_weight: float = 3.0  # and of what is true of each name
    spots_from: int = 2000  # the step from which names tell where: once they find their cells
    later: int = 2400  # the step from which rare questions come more often, and all steps are seen
    clips: DrawnClips = field(default_factory=DrawnClips)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Steps in each stage, in the order of STAGES."""
        return self.seeing, self.locating, self.answering, self.rounding, self.second_stage

    @property
    def total(self) -> int:
        return sum(self.lengths)

    def stage(self, step: int) -> tuple[Stage, int, int]:
        """The stage of a step (from 0), the step's number in it, and the stage's length."""
        for stage, length in zip(STAGES, self.lengths, strict=True):
            if step < length or stage == STAGES[-1]:
                return stage, step, length
            step -= length
        raise AssertionError("the last stage takes all that is left")

    def drawn(self, stage: Stage) -> DrawnClips:
        """The clips of a stage."""
        if stage in ("seeing", "locating"):
            return self.clips.seeing
        if stage != "answering":
            return replace(self.clips, rare_from=0)
        return replace(self.clips, rare_from=self.later - self.seeing - self.locating)

    def rate(self, step: int) -> float:
        """The learning rate of a step: warm-up, a plateau, then half a cosine in every stage."""
        stage, number, length = self.stage(step)
        peak = self.rates[STAGES.index(stage)]
        warm = min(1.0, (number + 1) / self.warm_up)
        falling = max(0.0, (number - self.plateau * length) / ((1 - self.plateau) * length))
        end = self.ends[STAGES.index(stage)]
        return peak * warm * (end + (1 - end) * (1 + math.cos(math.pi * falling)) / 2)
