"""From capture to residual, to context and to token: `python -m benchmarks end_to_end`.

Frames come at 30 Hz and gaze at 200 Hz, questions at fixed times, whether or not the loop keeps up:
every time is dated from the moment at which its sample or its question was due, so that a stall
counts against everything that waited for its end. The rate of steps is doubled until steps are
dropped, and the knee is then closed in on. A context holds the same number of steps at every rate.
Frames come as pixels: what decoding a video takes is a stage of `stages`, what a page adds is in
`serving`, and the end of speech to sound in `voice`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.end_to_end.load import QUESTION, Load, Outcome, run_load
from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.result import Result, Sheet, Value, add_outputs, publish
from benchmarks.instruments.simulated import START
from devices import numbers
from devices.clock import SystemClock
from devices.parser import Parser, complain
from runtime.bundle.opening import Bundle
from runtime.engines.choice import ENGINES, Machine
from runtime.errors import RuntimeFault
from runtime.model.opening import open_models
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole

SIZE = 1600, 1200  # of Neon's scene camera
HIGHEST = 64.0  # steps per second
WARM_UP = 2.0  # seconds of stream that are not counted
HALVINGS = 3  # of the interval that the knee is in
PERCENTILES = (50, 95, 99)
LATENCIES = {
    "capture to residual": "to_residual",
    "age of the frame at injection": "frame_age",
    "age of gaze at injection": "gaze_age",
    "question to first token": "question_to_token",
    "capture to first token": "capture_to_token",
}
Try = Callable[[float], Outcome]


def sweep(attempt: Try, lowest: float, highest: float = HIGHEST) -> Iterator[Outcome]:
    """What comes of rates that are doubled until one is not sustained, then of some between.

    The last that is sustained and the first that is not are brought nearer, as ratios, HALVINGS
    times.
    """
    rate, below, above = lowest, 0.0, math.inf
    while above == math.inf and rate <= highest:
        outcome = attempt(rate)
        yield outcome
        below, above = (rate, above) if outcome.is_sustained else (below, rate)
        rate *= 2
    for _ in range(HALVINGS if below and above < math.inf else 0):
        rate = math.sqrt(below * above)
        outcome = attempt(rate)
        yield outcome
        below, above = (rate, above) if outcome.is_sustained else (below, rate)


def knee_line(outcomes: Sequence[Outcome]) -> str:
    """Between which rates the knee is."""
    held = [each.load.rate for each in outcomes if each.is_sustained]
    lost = [each.load.rate for each in outcomes if not each.is_sustained]
    if not held:
        return f"not even {min(lost):.3g} steps per second are sustained"
    above = min((rate for rate in lost if rate > max(held)), default=None)
    if above is None:
        return f"{max(held):.3g} steps per second are sustained: no knee up to there"
    return f"the knee is between {max(held):.3g} and {above:.3g} steps per second"


def latency_sheet(outcomes: Sequence[Outcome]) -> Sheet:
    """What every time was at every rate; of frames that were overtaken, too."""
    rows: list[tuple[Value, ...]] = []
    for outcome in outcomes:
        state = "" if outcome.is_sustained else ", not sustained"
        for name, field in LATENCIES.items():
            values = getattr(outcome, field)
            figures: Sequence[Value] = [None] * (len(PERCENTILES) + 1)
            if values:
                figures = [*np.percentile(values, PERCENTILES).tolist(), max(values)]
            told = f"{outcome.load.rate:.3g} steps/s{state}: {name}"
            rows.append((told, len(values), *figures))
    columns = ("", "n", *(f"p{each}, ms" for each in PERCENTILES), "max, ms")
    return Sheet(knee_line(outcomes), columns, tuple(rows))


def drops_sheet(outcomes: Sequence[Outcome]) -> Sheet:
    """What was done and what was dropped at every rate, by cause."""
    causes = tuple(dict.fromkeys(cause for each in outcomes for cause in each.drops))
    rows = tuple(
        (
            f"{each.load.rate:.3g} steps/s",
            each.summary.steps,
            each.summary.frames.used,
            each.summary.frames.received,
            *(each.drops.get(cause, 0) for cause in causes),
        )
        for each in outcomes
    )
    columns = ("", "steps in contexts", "frames encoded", "frames due", *causes)
    return Sheet("dropped, by cause", columns, rows)


def result(outcomes: Sequence[Outcome], options: argparse.Namespace, bundle: Bundle) -> Result:
    """Both tables."""
    settings = options.seconds, options.steps, options.question_every
    return Result(
        "end_to_end",
        Conditions.here(
            f"{options.seconds:g} s at each rate, once, {options.steps} steps in a context",
            input_hash(*settings, *SIZE, QUESTION.prompt()),
            bundle,
        ),
        (latency_sheet(outcomes), drops_sheet(outcomes)),
        details={
            "threads": options.threads,
            "rates": [
                {
                    "rate": each.load.rate,
                    "sustained": each.is_sustained,
                    "summary": each.summary,
                    **{field: getattr(each, field) for field in LATENCIES.values()},
                }
                for each in outcomes
            ],
        },
    )


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks end_to_end", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--engine", choices=ENGINES, default="auto")
    parser.add_argument(
        "--threads", type=numbers.whole(0), default=0, help="per operator (default: all cores)"
    )
    parser.add_argument(
        "--seconds", type=numbers.number(1, 3600), default=30.0, help="of stream at each rate"
    )
    parser.add_argument(
        "--lowest", type=numbers.number(0.01, HIGHEST), default=0.25, help="steps per second"
    )
    parser.add_argument("--steps", type=numbers.whole(1), default=15, help="that a context holds")
    parser.add_argument(
        "--question-every", type=numbers.number(0.1, 3600), default=5.0, metavar="SECONDS"
    )
    add_outputs(parser)
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None) -> int:
    """The exit status: 1 after an error, which is one line."""
    options, console = arguments(command_line), SafeConsole()
    asked = np.arange(options.question_every, options.seconds, options.question_every).tolist()
    warm_up = Load(1.0, WARM_UP, options.steps, (WARM_UP / 2,), SIZE)
    try:
        bundle = Bundle.open(options.bundle)
        opened = open_models(options.engine, bundle, Machine.here(), threads=options.threads)

        def attempt(rate: float) -> Outcome:
            load = Load(rate, options.seconds, options.steps, asked, SIZE)
            outcome = run_load(opened.models, load, SystemClock(START))
            console.print(f"{rate:.3g} steps per second: {outcome.summary.steps} in contexts")
            return outcome

        run_load(opened.models, warm_up, SystemClock(START))
        outcomes = list(sweep(attempt, options.lowest))
        return publish(result(outcomes, options, bundle), options, console)
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
