"""What the steps of the last minutes showed: thumbnails, fixations, and what gaze did to each.

What gaze did to a visual token is the norm of how the residual that was added to it differs from
the one it would have got if nothing had been fixated, over the injected layers and their width.
(The norm of the residual itself does not tell: it is large where nobody looks, too.)
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.samples import Fixation
from runtime.answers.listeners import Seen
from runtime.engines.tensors import on_host
from runtime.server.sight import jpeg
from runtime.stream.steps import Step

MOST_STEPS = 600
WIDTH, QUALITY = 240, 70
ROUNDED = 1000  # nanoseconds by which a browser's numbers may miss a moment


@dataclass(frozen=True, slots=True, eq=False)
class KeptStep:
    """A step as it is shown. `frame_at`: of its newer frame, Unix ns."""

    frame_at: int
    fixations: tuple[Fixation, ...]
    picture: bytes


class KeptSteps:
    """The newest steps by the capture time of their frame; not shared between threads."""

    def __init__(self, most: int = MOST_STEPS) -> None:
        self._most = most
        self._steps: OrderedDict[int, KeptStep] = OrderedDict()

    def keep(self, step: KeptStep) -> None:
        """Keep a step; of too many the oldest is forgotten."""
        self._steps[step.frame_at] = step
        if len(self._steps) > self._most:
            self._steps.popitem(last=False)

    def find(self, frame_at: int) -> KeptStep | None:
        """The step whose frame was captured then, as exactly as a browser can say it."""
        if frame_at in self._steps:
            return self._steps[frame_at]
        near = (at for at in self._steps if abs(at - frame_at) <= ROUNDED)
        return self._steps.get(next(near, -1))

    def listed(self) -> list[dict[str, object]]:
        """All of them for a time line, oldest first; times in Unix ms."""
        return [
            {"frame_at": step.frame_at / 1e6, "fixations": [(f.x, f.y) for f in step.fixations]}
            for step in self._steps.values()
        ]


def kept_step(step: Step) -> KeptStep:
    """A step as it is kept."""
    pair, view = step.plan.pair, step.plan.gaze
    return KeptStep(pair.newer_at, view.fixations, jpeg(pair.newer, WIDTH, QUALITY))


def gaze_strength(seen: Seen) -> NDArray[np.float32] | None:
    """What gaze did to each visual token of a step: (H*W,) float32; None where it is not known.

    Where its residuals are added first: later ones tell all tokens what was looked at.
    """
    if seen.step.residuals is None or seen.unlooked is None:
        return None
    looked, unlooked = (
        on_host(each).astype(np.float32) for each in (seen.step.residuals, seen.unlooked)
    )
    return np.linalg.norm(looked[0] - unlooked[0], axis=1)


def heat_message(seen: Seen, grid: tuple[int, int]) -> bytes | None:
    """What gaze did in a step, for a page; None where that is not known."""
    step = seen.step
    strength = gaze_strength(seen)
    if strength is None:
        return None
    return msgspec.json.encode(
        {
            "type": "heat",
            "frame_at": step.plan.pair.newer_at / 1e6,
            "rows": grid[0],
            "columns": grid[1],
            "values": [round(float(value), 5) for value in strength],
            "fixated": bool(step.plan.gaze.fixations),
        }
    )
