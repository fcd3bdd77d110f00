"""What does an exact stream save? `python -m benchmarks stream --bundle DIR`, on the CPU.

Time to first token with many steps in the context and with few; encoding and prefilling the same
steps at the question instead; and new gaze on the same frames against a full run of V-JEPA and
resampler. Frames are noise: no time here depends on their content. The cases of a round follow one
another, so that what else the machine does meets all of them. Measure on an idle machine;
`--random 0.5b` of the export makes a bundle of the real shapes. The released way of answering is
beside ours in `reference`.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.instruments.bundles.kept_stream import QUESTION, Rig, grid_of
from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.findings import Finding
from benchmarks.instruments.result import Result, Sheet, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from runtime.bundle.opening import Bundle
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole

FEW, MANY = "first token, 5 steps in the context", "first token, 15 steps in the context"
AFRESH = "first token, the same 15 steps encoded at the question"
GAZE = "new residuals for new gaze on the same frames"
FULL = "new residuals with V-JEPA and the whole resampler"
STEPS = {FEW: 5, MANY: 15}

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
    parser.add_argument("--grid", default="8x16", metavar="HxW", help="tokens of a step (8x16)")
    parser.add_argument("--rounds", type=numbers.whole(1), default=3)
    parser.add_argument(
        "--repeats", type=numbers.whole(1), default=5, help="of the quick cases in a round"
    )
    add_outputs(parser)
    return parser.parse_args(command_line)


def run(options: argparse.Namespace) -> Result:
    """Measure. Raises RuntimeFault."""
    grid = grid_of(options.grid)
    bundle = Bundle.open(options.bundle)
    rig = Rig(Models(bundle), grid, [*STEPS.values()])
    cases: dict[str, Case] = {
        FEW: lambda: rig.kept(STEPS[FEW]),
        MANY: lambda: rig.kept(STEPS[MANY]),
        GAZE: rig.gaze,
        FULL: rig.full,
        AFRESH: rig.afresh,
    }
    times = measure(cases, options.rounds, options.repeats)
    return Result(
        "stream",
        Conditions.here(
            f"{options.rounds} rounds, the quick cases {options.repeats} times in each",
            input_hash(options.grid, *STEPS.values(), QUESTION.text, *QUESTION.options),
            bundle,
        ),
        (times_sheet(f"{bundle.manifest.name}, {grid[0] * grid[1]} tokens a step", times),),
        tuple(findings(times)),
        {"milliseconds": times},
    )


def main(command_line: Sequence[str] | None = None) -> int:
    """The exit status: 1 after an error, or where a limit is not met."""
    options = arguments(command_line)
    try:
        return publish(run(options), options, SafeConsole())
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
