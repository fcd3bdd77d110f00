"""What does an exact stream save? `python -m benchmarks stream --bundle DIR`, on the CPU.

Time to first token with many steps in the context and with few; encoding and prefilling the same
steps at the question instead; the released way (8 frames, everything encoded anew, PyTorch); and
new gaze on the same frames against a full run of V-JEPA and resampler. Frames are noise: no time
here depends on their content. The cases of a round follow one another, so that what else the
machine does meets all of them. Measure on an idle machine; `--random 0.5b` of the export makes a
bundle of the real shapes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.findings import Finding
from benchmarks.instruments.result import Result, Sheet, add_outputs, publish
from devices import numbers
from devices.clock import NANOSECONDS
from devices.parser import Parser, complain
from devices.samples import Fixation
from runtime.answers.questions import Question
from runtime.answers.watcher import Watcher
from runtime.bundle.opening import Bundle
from runtime.errors import RuntimeFault
from runtime.model.encoder import Encoder
from runtime.model.models import Models
from runtime.run.command_line import MINI
from runtime.stopwatch import Stopwatch
from runtime.stream.frame_timeline import FramePair
from runtime.stream.gaze_timeline import GazeView
from runtime.stream.steps import StepPlan
from runtime.terminal import SafeConsole

FEW, MANY = "first token, 5 steps in the context", "first token, 15 steps in the context"
AFRESH = "first token, the same 15 steps encoded at the question"
RELEASED = "first token, the released way (8 frames, PyTorch)"
GAZE = "new residuals for new gaze on the same frames"
FULL = "new residuals with V-JEPA and the whole resampler"
STEPS = {FEW: 5, MANY: 15}
QUESTION = Question("What am I looking at?", ("a cup", "a knife", "a plate", "a spoon"))
MILLISECOND = 1_000_000

Case = Callable[[], float]
Milliseconds = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Limit:
    """A ratio of the medians of two cases, and the most that it may be."""

    name: str
    above: str
    below: str
    most: float


LIMITS = (
    Limit("first token: 15 steps against 5", MANY, FEW, 1.3),
    Limit("first token: 15 steps kept against encoded at the question", MANY, AFRESH, 1 / 20),
    Limit("new gaze against V-JEPA and resampler", GAZE, FULL, 1 / 20),
)


class Rig:
    """The models of a bundle on a grid of tokens (H, W), and what the cases share."""

    def __init__(self, models: Models, grid: tuple[int, int]) -> None:
        self._models = models
        self._grid = grid
        self._encoder = self._new_encoder()
        self._random = np.random.default_rng(0)
        self._moment = 0
        self._pair = self.new_pair()
        step = self._encoder.encode(self.plan(self._pair), Stopwatch())
        self._watchers = {case: self._watcher() for case in STEPS}
        for case, count in STEPS.items():
            for _ in range(count):
                self._watchers[case].append(step, Stopwatch())

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

    def kept(self, case: str) -> float:
        """Time to first token in a context that was filled while the stream ran.

        The tail step's frames were encoded when they came; its gaze is new.
        """
        self._encoder.encode_pair(self._pair, Stopwatch())
        watch = Stopwatch()
        tail = self._encoder.encode(self.plan(self._pair), watch)
        (reply,) = self._watchers[case].ask([QUESTION], tail, watch)
        return reply.answer.ttft_ms

    def afresh(self) -> float:
        """Time to first token where nothing was kept: encode every step, prefill, ask."""
        plans = [self.plan(self.new_pair()) for _ in range(STEPS[MANY])]
        encoder, watcher, watch = self._new_encoder(), self._watcher(), Stopwatch()
        for plan in plans:
            watcher.append(encoder.encode(plan, watch), watch)
        (reply,) = watcher.ask([QUESTION], None, watch)
        return reply.answer.ttft_ms

    def gaze(self) -> float:
        """New gaze on frames that are encoded."""
        plan, watch = self.plan(self._pair), Stopwatch()
        self._encoder.encode(plan, watch)
        return watch.elapsed_ms

    def full(self) -> float:
        """V-JEPA and both halves of the resampler, without the vision tower."""
        frames = np.stack([self._pair.older, self._pair.newer])
        width = self._models.bundle.manifest.geometry.resampler.width
        began = time.perf_counter_ns()
        scene = self._models.scene(self._models.features(frames, 1), 0, 1, self._grid)
        self._models.residuals(scene, np.ones(width, np.float32))
        return (time.perf_counter_ns() - began) / MILLISECOND

    def _new_encoder(self) -> Encoder:
        return Encoder(self._models, self._grid, use_gaze=True)

    def _watcher(self) -> Watcher:
        return Watcher(self._models, self._grid, STEPS[MANY] + 1, contexts=1)


def released_case(checkpoints: Path, bundle: Bundle, grid: tuple[int, int]) -> Case:
    """The released way on PyTorch, from the checkpoints that the bundle was made of."""
    from benchmarks.instruments.released_in_torch import ReleasedInTorch

    return ReleasedInTorch(checkpoints, bundle, grid, QUESTION).first_token_ms


def measure(cases: Mapping[str, Case], rounds: int, repeats: int) -> Milliseconds:
    """Run every case in every round, the quick ones `repeats` times."""
    found: dict[str, list[float]] = defaultdict(list)
    for name in (FEW, MANY, GAZE, FULL):
        cases[name]()  # memory is allocated and caches filled in a first run
    for _ in range(rounds):
        for _ in range(repeats):
            for name in (FEW, MANY, GAZE):
                found[name].append(cases[name]())
        for name in cases:
            if name not in (FEW, MANY, GAZE):
                found[name].append(cases[name]())
    return found


def findings(times: Milliseconds) -> list[Finding]:
    """The ratios that are limited."""
    return [
        Finding(
            limit.name,
            float(np.median(times[limit.above]) / np.median(times[limit.below])),
            limit.most,
        )
        for limit in LIMITS
    ]


def times_sheet(title: str, times: Milliseconds) -> Sheet:
    """Every case with its median and range."""
    rows = (
        (name, len(values), float(np.median(values)), min(values), max(values))
        for name, values in times.items()
    )
    return Sheet(title, ("ms", "n", "median", "least", "most"), tuple(rows))


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks stream", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument(
        "--checkpoints", type=Path, metavar="DIR", help="of the bundle: measures PyTorch, too"
    )
    parser.add_argument("--grid", default="8x16", metavar="HxW", help="tokens of a step (8x16)")
    parser.add_argument("--rounds", type=numbers.whole(1), default=3)
    parser.add_argument(
        "--repeats", type=numbers.whole(1), default=5, help="of the quick cases in a round"
    )
    add_outputs(parser)
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None) -> int:
    """The exit status: 1 after an error, or where a limit is not met."""
    options = arguments(command_line)
    try:
        grid = _grid(options.grid)
        bundle = Bundle.open(options.bundle)
        rig = Rig(Models(bundle), grid)
        cases: dict[str, Case] = {
            FEW: lambda: rig.kept(FEW),
            MANY: lambda: rig.kept(MANY),
            GAZE: rig.gaze,
            FULL: rig.full,
            AFRESH: rig.afresh,
        }
        if options.checkpoints is not None:
            cases[RELEASED] = released_case(options.checkpoints, bundle, grid)
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1
    times = measure(cases, options.rounds, options.repeats)
    console = SafeConsole()
    title = f"{bundle.manifest.name}, {grid[0] * grid[1]} tokens a step"
    result = Result(
        "stream",
        Conditions.here(
            f"{options.rounds} rounds, the quick cases {options.repeats} times in each",
            input_hash(options.grid, *STEPS.values(), QUESTION.text, *QUESTION.options),
            bundle,
        ),
        (times_sheet(title, times),),
        tuple(findings(times)),
        {"milliseconds": times},
    )
    try:
        status = publish(result, options, console)
    except OSError as error:
        complain(error)
        return 1
    if RELEASED in times:
        ratio = np.median(times[RELEASED]) / np.median(times[MANY])
        console.print(f"the released way takes {ratio:.1f} times as long to the first token")
    else:
        console.print("the released way: not measured, give --checkpoints")
    return status


def _grid(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise RuntimeFault(f"--grid {text}: write rows and columns of tokens, such as 8x16")
    return int(height), int(width)


if __name__ == "__main__":
    sys.exit(main())
