"""Does the live loop hold out? `python -m benchmarks soak`: one simulated hour at 30 and 200 Hz.

Everything of the live loop runs but the models, which cost simulated time only (`--real` runs
those of the bundle). Samples are lost, streams stall, eyes close. Then a shorter run on a machine
that needs ten frame intervals for a pair of frames, with alerts but without questions, which go
before steps. At last the live command as it is shipped, `python -m runtime.live --fast`, in a
process of its own, for as long as `--live-seconds`: how much memory it takes, and how that grows.
Every line of the table has a limit; the exit status is 1 if one is not met.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.instruments.conditions import Conditions as Circumstances
from benchmarks.instruments.conditions import input_hash
from benchmarks.instruments.findings import Finding
from benchmarks.instruments.live_memory import live_memory, resident, slope
from benchmarks.instruments.result import Result, add_outputs, publish
from benchmarks.instruments.simulated import (
    FRAME_RATE,
    GAZE_RATE,
    START,
    SimulatedModels,
    SimulatedStream,
)
from devices import numbers
from devices.clock import NANOSECONDS
from devices.parser import Parser, complain
from runtime.answers.alerts import AlertRule, StandingAlert, StandingAlerts
from runtime.answers.listeners import Listeners, News
from runtime.answers.questions import Question
from runtime.answers.record import Conditions, SecondRecord, SummaryRecord
from runtime.answers.session import SessionOptions, frame_timeline, gaze_timeline
from runtime.answers.watcher import Watcher
from runtime.bundle.opening import Bundle
from runtime.errors import RuntimeFault
from runtime.model.brake import Brake
from runtime.model.encoder import Encoder
from runtime.model.models import Models
from runtime.run.capture import Capture, DueQuestion
from runtime.run.command_line import MINI
from runtime.run.console import Screen
from runtime.run.live_loop import TICK, LiveLoop, Stages
from runtime.run.reports import FRAME_AGE, Reporter
from runtime.run.work import MOST_STEPS
from runtime.stream.frame_timeline import SLACK, FrameTimeline
from runtime.stream.gaze_timeline import GazeTimeline
from runtime.stream.sampling import FRAMES_PER_STEP, sampling_rate
from runtime.stream.steps import PATIENCE, StepPlanner
from runtime.terminal import SafeConsole

INTERVAL = NANOSECONDS // FRAME_RATE
QUESTION_EVERY = 20  # seconds
SLOPE_LIMIT = 1.0  # MiB per hour
LEAST_FOR_SLOPE = 600.0  # seconds of stream: in less, a few pages look like a slope
BEHIND = 0.5  # seconds that the loop may lag behind the stream for a long encode
OVERLOAD = 10  # times a frame interval per pair of frames
QUESTION = Question("What is it?", ("a cup", "a knife"))
MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Soak:
    """What a run left behind. `memory`: stream seconds and MiB resident, a row for each second."""

    summary: SummaryRecord
    memory: NDArray[np.float64]
    most_waiting: int
    most_events: int
    most_frames: int

    def slope(self) -> float | None:
        """Growth of the resident memory after warm-up, MiB per hour; None where it is unknown."""
        return slope(self.memory)


class Observer:
    """Hears the records of a run and looks at memory and queues with each second's."""

    def __init__(self, seconds: float, frames: FrameTimeline, gaze: GazeTimeline) -> None:
        self.most_waiting = self.most_events = self.most_frames = 0
        self._frames, self._gaze = frames, gaze
        # Written to before the run, so that what is noted of memory takes none.
        self._memory = np.ones((math.ceil(seconds) + 2, 2))
        self._looks = 0

    def hear(self, news: News) -> None:
        """Look, where a second has passed."""
        if isinstance(news, SecondRecord):
            self._memory[self._looks] = (news.at - START) / NANOSECONDS, resident()
            self._looks += 1
            self.most_waiting = max(self.most_waiting, news.waiting)
            self.most_events = max(self.most_events, len(self._gaze))
            self.most_frames = max(self.most_frames, len(self._frames))

    def soak(self, summary: SummaryRecord) -> Soak:
        """What was seen of the run that ended so."""
        memory = self._memory[: self._looks]
        return Soak(summary, memory, self.most_waiting, self.most_events, self.most_frames)


def soak(
    bundle: Bundle,
    seconds: float,
    cost: int,
    asked: Sequence[float] = (),
    real: bool = False,
    rate: float | None = None,
) -> Soak:
    """Run the live loop for so many simulated seconds; a pair of frames costs `cost` ns of them.

    `asked`: when questions are asked, in seconds. `real`: with the bundle's own models, which cost
    no simulated time. `rate`: of encoding ahead, as of a `Brake`.
    """
    device = SimulatedStream(seconds)
    models = Models(bundle) if real else SimulatedModels(bundle, device.clock, cost)
    settings = bundle.manifest.settings
    grid = settings.live_height, settings.live_width
    with device as info:
        options = SessionOptions.of(settings, info, rule="velocity")
        gaze = gaze_timeline(options, settings, info)
        frames = frame_timeline(models, options)
        planner = StepPlanner(frames, gaze, options.rate)
        due = [DueQuestion(QUESTION, START + round(at * NANOSECONDS)) for at in asked]
        alerts = StandingAlerts([StandingAlert("Tell me when I look at the knife.", AlertRule())])
        stages = Stages(
            Capture(planner, due, glances=True),
            Encoder(models, grid, use_gaze=True),
            Watcher(models, grid, options.window_steps),
        )
        conditions = Conditions("causal", bundle.manifest.name, models.engine_name)
        observer = Observer(seconds, frames, gaze)
        listeners = Listeners()
        listeners.subscribe("screen", Screen(Console(quiet=True)).hear)
        listeners.subscribe("observer", observer.hear)
        reporter = Reporter(listeners, conditions, device.counts, gaze)
        brake = Brake(rate)
        LiveLoop(device, stages, alerts, conditions, reporter, stays=True, brake=brake).run()
        return observer.soak(reporter.close())


def hour_findings(run: Soak, seconds: float, asked: int) -> list[Finding]:
    """What is asked of a run on a machine that keeps up."""
    interval = FRAMES_PER_STEP / sampling_rate(30.0)
    span = interval + PATIENCE / NANOSECONDS + BEHIND
    found = [
        *accounts(run.summary),
        Finding("questions without a record", asked - run.summary.answers, 0),
        Finding("steps dropped", run.summary.steps_dropped, 0),
        Finding("work waiting for the encoder", run.most_waiting, MOST_STEPS + 2),
        Finding("gaze events kept", run.most_events, round(span * (GAZE_RATE + FRAME_RATE))),
        Finding("frames kept", run.most_frames, round((span + SLACK) * FRAME_RATE)),
    ]
    return [*found, *growth_findings("growth of resident memory", run.slope(), seconds)]


def growth_findings(name: str, growth: float | None, seconds: float) -> list[Finding]:
    """What is asked of memory, in a run that is long enough to tell."""
    if growth is None or seconds < LEAST_FOR_SLOPE:
        return []
    return [Finding(name, growth, SLOPE_LIMIT, "MiB per hour")]


def overload_findings(run: Soak, cost: int) -> list[Finding]:
    """What is asked of a run on a machine that does not keep up: frames dropped, never a lag.

    Besides the two encode times and the frame interval, the loop looks once a tick.
    """
    limit = (2 * cost + INTERVAL + TICK) / MILLISECOND
    age = run.summary.stages[FRAME_AGE].max
    used, received = run.summary.frames.used, run.summary.frames.received
    return [
        *(
            replace(finding, name=f"overloaded: {finding.name}")
            for finding in accounts(run.summary)
        ),
        Finding("overloaded: age of a step when it is encoded", age, limit, "ms"),
        Finding("overloaded: share of frames encoded", used / received, 1.1 * INTERVAL / cost),
    ]


def accounts(summary: SummaryRecord) -> list[Finding]:
    """How many samples are unaccounted for: received - used - dropped by cause."""
    return [
        Finding(
            f"{noun} unaccounted for",
            abs(fact.received - fact.used - sum(fact.dropped.values())),
            0,
        )
        for noun, fact in (("frames", summary.frames), ("gaze", summary.gaze))
    ]


def memory_line(live: NDArray[np.float64]) -> str:
    """What the live command took, and how it grew after warm-up."""
    growth = slope(live)
    told = "unknown" if growth is None else f"{growth:+.2f} MiB per hour"
    return (
        f"live command: {live[:, 1].max():.1f} MiB at most in {live[-1, 0]:.0f} s of stream, "
        f"{live[-1, 1]:.1f} MiB at the end; growth after warm-up {told}"
    )


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks soak", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument(
        "--seconds", type=numbers.seconds, default=3600.0, help="of simulated stream"
    )
    parser.add_argument("--overloaded-seconds", type=numbers.seconds, default=300.0)
    parser.add_argument(
        "--live-seconds", type=numbers.seconds, default=3600.0, help="of the live command's stream"
    )
    parser.add_argument("--real", action="store_true", help="run the bundle's models (hours)")
    add_outputs(parser)
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None) -> int:
    """The exit status: 1 after an error, or where a limit is not met."""
    options = arguments(command_line)
    try:
        bundle = Bundle.open(options.bundle)
    except RuntimeFault as error:
        complain(error)
        return 1
    console = SafeConsole()
    asked = np.arange(QUESTION_EVERY, options.seconds, QUESTION_EVERY).tolist()
    run = soak(bundle, options.seconds, INTERVAL // 2, asked, options.real)
    cost = OVERLOAD * INTERVAL
    overloaded = soak(bundle, options.overloaded_seconds, cost, rate=FRAME_RATE)
    try:
        live = live_memory(options.bundle, options.live_seconds)
    except RuntimeFault as error:
        complain(error)
        return 1
    name = "live command: growth of resident memory"
    findings = [
        *hour_findings(run, options.seconds, len(asked)),
        *overload_findings(overloaded, cost),
        *growth_findings(name, slope(live), options.live_seconds),
    ]
    seconds = options.seconds, options.overloaded_seconds, options.live_seconds
    result = Result(
        "soak",
        Circumstances.here("each of three streams once", input_hash(*seconds), bundle),
        (),
        tuple(findings),
        {
            "seconds": options.seconds,
            "models": "real" if options.real else "simulated",
            "summary": run.summary,
            "memory": run.memory.round(3).tolist(),
            "live_memory": live.round(3).tolist(),
        },
    )
    try:
        status = publish(result, options, console)
    except OSError as error:
        complain(error)
        return 1
    console.print(memory_line(live))
    return status


if __name__ == "__main__":
    sys.exit(main())
