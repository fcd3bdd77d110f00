"""A wearer: a scene, a head, eyes, and the truth about what was looked at."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np

from devices.synthetic.eyes import Dwell, Eyes
from devices.synthetic.head import HeadMotion
from devices.synthetic.scene import Scene, draw_scene


@dataclass(frozen=True, slots=True)
class Moment:
    """What is true at a moment of a clip that began earlier.

    `looked_at`: places of the things dwelled on since the clip's start, in order, the present one
    last; `gaze`: the place of the thing looked at now, None for the table or a saccade.
    """

    seconds: float
    scene: Scene
    present: tuple[int, ...]
    looked_at: tuple[int, ...]
    gaze: int | None


class Wearer:
    """Everything of one wearer, from a seed. Times in seconds from the start."""

    def __init__(self, seed: int | tuple[int, ...], seconds: float) -> None:
        """`seconds`: by when everything that appears has appeared."""
        random = np.random.default_rng(seed)
        self.scene = draw_scene(random, seconds)
        self.head = HeadMotion(random)
        self.eyes = Eyes(random, self.scene, self.head)

    def looking_anew(self, seed: int) -> Wearer:
        """The same scene seen with the same head, by other eyes."""
        other = copy(self)
        other.eyes = Eyes(np.random.default_rng(seed), self.scene, self.head)
        return other

    def dwells(self, start: float, until: float) -> list[Dwell]:
        """What was looked at in a span of time, for at least a tenth of a second within it."""
        self.eyes.track(until)
        return [
            dwell
            for dwell in self.eyes.dwells
            if dwell.end >= start + 0.1 and dwell.start <= until - 0.1
        ]

    def moment(self, seconds: float, clip_start: float = 0.0) -> Moment:
        """The truth at a moment about the clip that began at `clip_start`."""
        now = self.eyes.dwell_at(seconds)
        seen = [dwell.thing for dwell in self.dwells(clip_start, seconds)]
        return Moment(
            seconds=seconds,
            scene=self.scene,
            present=self.scene.present(seconds),
            looked_at=tuple(thing for thing in seen if thing is not None),
            gaze=now.thing if now else None,
        )
