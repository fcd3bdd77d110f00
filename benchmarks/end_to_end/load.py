"""The live loop under a load that does not wait for it, and what came of it at one rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.end_to_end.moments import (
    MILLISECOND,
    Moments,
    NotedWatcher,
    ages_at_injection,
    capture_to_residual,
    due_frames,
)
from benchmarks.instruments.simulated import FRAME_RATE, START, SimulatedStream
from devices.clock import NANOSECONDS, Clock
from runtime.answers.alerts import StandingAlerts
from runtime.answers.listeners import Listeners
from runtime.answers.questions import Question
from runtime.answers.record import Conditions, SummaryRecord
from runtime.answers.session import SessionOptions, frame_timeline, gaze_timeline
from runtime.model.brake import Brake
from runtime.model.encoder import Encoder
from runtime.model.models import Models
from runtime.run.capture import Capture, DueQuestion
from runtime.run.live_loop import LiveLoop, Stages
from runtime.run.reports import Reporter
from runtime.stream.sampling import FRAMES_PER_STEP
from runtime.stream.steps import StepPlanner

QUESTION = Question("What am I looking at?", ("a cup", "a knife", "a plate", "a spoon"))


@dataclass(frozen=True, slots=True)
class Load:
    """`rate`: steps per second; a context holds `steps` of them. `asked`: when, in seconds.

    `size`: width and height of frames. `ahead`: whether the newest frames are encoded before a step
    or a question needs them, as a live run does.
    """

    rate: float
    seconds: float
    steps: int
    asked: Sequence[float]
    size: tuple[int, int]
    ahead: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one load, in ms: of every frame until it has residuals; the ages of frame and gaze when
    their step is in every context; and of every answer, since the question and since the capture
    of the newest frame that it rests on."""

    load: Load
    summary: SummaryRecord
    to_residual: list[float]
    frame_age: list[float]
    gaze_age: list[float]
    question_to_token: list[float]
    capture_to_token: list[float]

    @property
    def is_sustained(self) -> bool:
        """Whether no step was dropped and every question was answered."""
        answered = len(self.question_to_token) == len(self.load.asked)
        return self.summary.steps_dropped == 0 and answered

    @property
    def drops(self) -> dict[str, int]:
        """What was dropped, by cause."""
        summary = self.summary
        steps = {"steps: encoder behind": summary.steps_dropped}
        frames = {f"frames: {cause}": count for cause, count in summary.frames.dropped.items()}
        gaze = {f"gaze: {cause}": count for cause, count in summary.gaze.dropped.items()}
        return {cause: count for cause, count in {**steps, **frames, **gaze}.items() if count}


def run_load(models: Models, load: Load, clock: Clock) -> Outcome:
    """Run the live loop under a load. `clock` says START now; a simulated one waits for nobody."""
    device = SimulatedStream(load.seconds, clock, load.size, faults=False)
    manifest = models.bundle.manifest
    settings = manifest.settings
    grid = settings.live_height, settings.live_width
    moments = Moments(clock)
    with device as info:
        # Half a step more than it holds, so that no rounding makes it one less.
        window, sampled = (load.steps + 0.5) / load.rate, load.rate * FRAMES_PER_STEP
        options = SessionOptions.of(settings, info, rule="velocity", window=window, rate=sampled)
        gaze = gaze_timeline(options, settings, info)
        planner = StepPlanner(frame_timeline(models, options), gaze, options.rate)
        due = [DueQuestion(QUESTION, START + round(at * NANOSECONDS)) for at in load.asked]
        watcher = NotedWatcher(moments, models, grid, options.window_steps)
        encoder = Encoder(models, grid, use_gaze=True)
        stages = Stages(Capture(planner, due, glances=False), encoder, watcher)
        conditions = Conditions("causal", manifest.name, models.engine_name)
        listeners = Listeners()
        listeners.subscribe("moments", moments.hear)
        reporter = Reporter(listeners, conditions, device.counts, gaze)
        brake = Brake() if load.ahead else None
        told = StandingAlerts([]), conditions, reporter
        LiveLoop(device, stages, *told, stays=True, brake=brake).run()
        ended_at = clock.now()
        summary = reporter.close()
    frames = due_frames(START, START + round(load.seconds * NANOSECONDS), FRAME_RATE)
    return Outcome(
        load,
        summary,
        capture_to_residual(frames, moments.encoded, ended_at),
        *ages_at_injection(moments.injected),
        [(each.at - each.asked_at) / MILLISECOND for each in moments.told],
        [(each.at - each.frame_at) / MILLISECOND for each in moments.told],
    )
