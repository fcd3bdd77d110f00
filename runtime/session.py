"""One stream being watched under the causal protocol: samples in, answers out.

Live and offline evaluation run this same code. A question sees exactly what was captured by the
moment it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from devices.device import Delivery, DeviceCounts, DeviceInfo
from runtime.context_pool import ContextPool, OpenContext
from runtime.encoder import Encoder
from runtime.fixation_rules import (
    DeviceRule,
    DispersionRule,
    FileRule,
    FixationRule,
    NoFixations,
    VelocityRule,
)
from runtime.frame_timeline import FrameTimeline
from runtime.gaze_timeline import GazeTimeline
from runtime.manifest import Settings
from runtime.models import Models
from runtime.questions import Answer, Asker, Question
from runtime.record import AnswerRecord, Conditions, answer_record, stream_fact
from runtime.sampling import FRAMES_PER_STEP, sampling_rate
from runtime.steps import StepFact, StepPlan, StepPlanner
from runtime.stopwatch import Stopwatch

QUESTION_TOKENS = 512  # room for a question's text in every context
NO_FRAME = "no scene frame has arrived yet"


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a stream is watched.

    `rule`: the fixation rule. `window`: seconds that a context holds. `rate`: frames per second
    that the model samples.
    """

    rule: str
    window: float
    rate: float
    use_gaze: bool = True

    @classmethod
    def of(
        cls,
        settings: Settings,
        info: DeviceInfo,
        rule: str | None = None,
        window: float | None = None,
        rate: float | None = None,
        use_gaze: bool = True,
    ) -> SessionOptions:
        """The bundle's settings where nothing else is asked for."""
        seconds = window or settings.window
        chosen = rule or ("file" if info.gaze_from == "fixation file" else settings.fixation_rule)
        return cls(chosen, seconds, rate or sampling_rate(seconds), use_gaze)

    @property
    def window_steps(self) -> int:
        """Temporal steps in a full window."""
        return max(1, int(self.window * self.rate / FRAMES_PER_STEP))


class Session:
    """Watches one stream. Not shared between threads.

    `on_text` hears of free text as it is generated.
    """

    def __init__(
        self,
        models: Models,
        info: DeviceInfo,
        options: SessionOptions,
        counts: Callable[[], DeviceCounts],
        on_text: Callable[[str], None] = lambda piece: None,
        new_watch: Callable[[], Stopwatch] = Stopwatch,
    ) -> None:
        manifest = models.bundle.manifest
        settings = manifest.settings
        grid = settings.live_height, settings.live_width
        pixels = manifest.geometry.vision.token_pixels
        self._conditions = Conditions("causal", manifest.name, models.engine_name)
        self.options = options
        self._counts = counts
        self._on_text = on_text
        self._new_watch = new_watch
        self._asker = Asker(models.bundle)
        self._gaze = GazeTimeline(
            fixation_rule(options, settings, info), settings.min_open, settings.gaze_age_limit
        )
        frames = FrameTimeline(grid[0] * pixels, grid[1] * pixels, options.rate)
        self._planner = StepPlanner(frames, self._gaze, options.rate)
        self._encoder = Encoder(models, grid, options.use_gaze)
        # One step more than the window: the tail step of a question.
        room = (options.window_steps + 1) * grid[0] * grid[1] + QUESTION_TOKENS
        capacity = len(manifest.prompt.before_video) + room + settings.max_new_tokens
        self._pool = ContextPool(lambda: models.context(grid, capacity), options.window_steps)

    def receive(self, delivery: Delivery, now: int) -> None:
        """Take in what a device delivered at `now` (Unix ns); nothing is computed yet."""
        self._planner.receive(delivery, now)

    def ready(self, moment: int) -> bool:
        """Whether a question of `moment` (Unix ns) would find every step that falls before it.

        False for a frame interval at most, after a step was due and until it is decided.
        """
        return self._planner.decided(moment)

    def advance(self, until: int) -> None:
        """Encode and append the steps that fall at or before `until` (Unix ns) and are decided."""
        for plan in self._planner.due(until):
            self._pool.append(self._encoder.encode(plan, self._new_watch()))

    def ask(self, question: Question, moment: int) -> AnswerRecord:
        """Answer a question asked at `moment` (Unix ns), up to which `advance` was called."""
        self._asker.check(question)
        tail = self._planner.tail(moment)
        if tail is None:
            return self._record(question, moment, [], None, note=NO_FRAME)
        watch = self._new_watch()
        longest = self._pool.longest
        held = longest or self._pool.fresh()
        try:
            return self._ask_in(held, tail, question, moment, watch)
        finally:
            if longest is None:
                self._pool.release(held)

    def _ask_in(
        self,
        held: OpenContext,
        tail: StepPlan,
        question: Question,
        moment: int,
        watch: Stopwatch,
    ) -> AnswerRecord:
        facts = list(held.facts)
        mark = held.context.mark()
        try:
            if not facts or not facts[-1].shows(tail):
                step = self._encoder.encode(tail, watch)
                with watch.stage("prefill"):
                    held.context.append_step(step.visual, step.residuals)
                facts.append(StepFact.of(tail))
            answer = self._asker.ask(question, held.context, watch, self._on_text)
        finally:
            held.context.rewind(mark)
        return self._record(question, moment, facts, tail.gaze.gaze_at, answer, watch.stages_ms())

    def _record(
        self,
        question: Question,
        moment: int,
        facts: Sequence[StepFact],
        gaze_at: int | None,
        answer: Answer | None = None,
        stages_ms: Mapping[str, float] | None = None,
        note: str | None = None,
    ) -> AnswerRecord:
        counts = self._counts()
        return answer_record(
            question,
            moment,
            self._conditions,
            facts,
            gaze_at,
            answer,
            stages_ms or {},
            stream_fact(counts.frames, {}),
            stream_fact(counts.gaze, self._gaze.dropped),
            note,
        )


def fixation_rule(options: SessionOptions, settings: Settings, info: DeviceInfo) -> FixationRule:
    """The rule that a session finds fixations with, for a device."""
    if not options.use_gaze:
        return NoFixations()
    if options.rule == "file":
        return FileRule()
    if options.rule == "device":
        return DeviceRule()
    if options.rule == "velocity":
        return VelocityRule(info.frame_width, info.frame_height)
    return DispersionRule(settings.dispersion_radius, settings.gaze_age_limit)
