"""A stream whose steps are kept in contexts, and what costs nothing twice there."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from devices.clock import NANOSECONDS
from devices.samples import Fixation
from runtime.answers.questions import Question
from runtime.answers.watcher import Watcher
from runtime.errors import RuntimeFault
from runtime.model.encoder import Encoder
from runtime.model.models import Models
from runtime.stopwatch import Stopwatch
from runtime.stream.frame_timeline import FramePair
from runtime.stream.gaze_timeline import GazeView
from runtime.stream.steps import StepPlan

MILLISECOND = 1_000_000
QUESTION = Question("What am I looking at?", ("a cup", "a knife", "a plate", "a spoon"))


class Rig:
    """The models of a bundle on a grid of tokens (H, W), and a context for every number of steps.

    Frames are noise: no time depends on their content.
    """

    def __init__(self, models: Models, grid: tuple[int, int], counts: Sequence[int]) -> None:
        """`counts`: steps in the contexts beforehand."""
        self._models = models
        self._grid = grid
        self._most = max(counts)
        self._encoder = self._new_encoder()
        self._random = np.random.default_rng(0)
        self._moment = 0
        self._pair = self.new_pair()
        step = self._encoder.encode(self.plan(self._pair), Stopwatch())
        self.watchers = {count: self._watcher() for count in counts}
        for count, watcher in self.watchers.items():
            for _ in range(count):
                watcher.append(step, Stopwatch())

    def new_pair(self) -> FramePair:
        """Two frames that were not seen before."""
        pixels = self._models.bundle.manifest.geometry.vision.token_pixels
        shape = (2, self._grid[0] * pixels, self._grid[1] * pixels, 3)
        older, newer = self._random.integers(0, 256, shape).astype(np.uint8)
        self._moment += NANOSECONDS
        return FramePair(older, newer, self._moment, self._moment + NANOSECONDS // 2)

    def plan(self, pair: FramePair) -> StepPlan:
        """A step of these frames, with gaze where it was not before."""
        self._moment += 1
        x, y = self._random.uniform(0.1, 0.9, 2).tolist()
        moment = self._moment
        fixation = Fixation(moment, moment, x, y, moment, None, "velocity")
        return StepPlan(None, moment, pair, GazeView((fixation,), moment, True))

    def kept(self, count: int, question: Question = QUESTION) -> float:
        """Time to first token (ms) in a context that was filled while the stream ran.

        The tail step's frames were encoded when they came; its gaze is new.
        """
        self._encoder.encode_pair(self._pair, Stopwatch())
        watch = Stopwatch()
        tail = self._encoder.encode(self.plan(self._pair), watch)
        (reply,) = self.watchers[count].ask([question], tail, watch)
        return reply.answer.ttft_ms

    def afresh(self) -> float:
        """Time to first token (ms) where nothing was kept: encode every step, prefill, ask."""
        plans = [self.plan(self.new_pair()) for _ in range(self._most)]
        encoder, watcher, watch = self._new_encoder(), self._watcher(), Stopwatch()
        for plan in plans:
            watcher.append(encoder.encode(plan, watch), watch)
        (reply,) = watcher.ask([QUESTION], None, watch)
        return reply.answer.ttft_ms

    def gaze(self) -> float:
        """New gaze on frames that are encoded (ms)."""
        plan, watch = self.plan(self._pair), Stopwatch()
        self._encoder.encode(plan, watch)
        return watch.elapsed_ms

    def full(self) -> float:
        """V-JEPA and both halves of the resampler, without the vision tower (ms)."""
        frames = np.stack([self._pair.older, self._pair.newer])
        width = self._models.bundle.manifest.geometry.resampler.width
        began = time.perf_counter_ns()
        scene = self._models.scene(self._models.features(frames, 1), 0, 1, self._grid)
        self._models.residuals(scene, np.ones(width, np.float32))
        return (time.perf_counter_ns() - began) / MILLISECOND

    def _new_encoder(self) -> Encoder:
        return Encoder(self._models, self._grid, use_gaze=True)

    def _watcher(self) -> Watcher:
        return Watcher(self._models, self._grid, self._most + 1, contexts=1)


def grid_of(text: str) -> tuple[int, int]:
    """Rows and columns of tokens, written as 8x16. Raises RuntimeFault."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise RuntimeFault(f"--grid {text}: write rows and columns of tokens, such as 8x16")
    return int(height), int(width)
