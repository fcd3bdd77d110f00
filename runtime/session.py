"""One stream being watched under the causal protocol: samples in, answers out.

Live and offline evaluation run this same code. A question sees exactly what was captured by the
moment it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devices.device import Delivery, DeviceCounts, DeviceInfo, StreamCounts
from runtime.context_pool import ContextPool, OpenContext, StepFact
from runtime.encoder import Encoder
from runtime.fixation_rules import (
    DeviceRule,
    DispersionRule,
    FileRule,
    FixationRule,
    VelocityRule,
)
from runtime.frame_timeline import FrameTimeline
from runtime.gaze_timeline import GazeTimeline
from runtime.manifest import Settings
from runtime.models import Models
from runtime.questions import Asker, Question, bare
from runtime.record import AnswerRecord, FixationFact, StreamFact, age_ms
from runtime.sampling import FRAMES_PER_STEP, sampling_rate
from runtime.steps import StepPlan, StepPlanner
from runtime.stopwatch import Stopwatch

QUESTION_TOKENS = 512  # room for a question's text in every context
NO_FRAME = "no scene frame has arrived yet"


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a stream is watched. `rule`: the fixation rule; `rate`: frames per second sampled.

    `window`: seconds that a context holds; None keeps everything up to `longest` seconds.
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
        self._models = models
        self._options = options
        self._counts = counts
        self._on_text = on_text
        self._new_watch = new_watch
        self._asker = Asker(models.bundle)
        self._gaze = GazeTimeline(
            fixation_rule(options.rule, settings, info), settings.min_open, settings.gaze_age_limit
        )
        frames = FrameTimeline(grid[0] * pixels, grid[1] * pixels, options.rate)
        self._planner = StepPlanner(frames, self._gaze, options.rate)
        self._encoder = Encoder(models, grid, options.use_gaze)
        # One step more than the window: the tail step of a question.
        room = (options.window_steps + 1) * grid[0] * grid[1] + QUESTION_TOKENS
        capacity = len(manifest.prompt.before_video) + room + settings.max_new_tokens
        self._pool = ContextPool(lambda: models.context(grid, capacity), options.window_steps)

    def receive(self, delivery: Delivery) -> None:
        """Take in what a device delivered; nothing is computed yet."""
        self._planner.receive(delivery)

    def advance(self, until: int) -> None:
        """Encode and append the steps that fall at or before `until` (Unix ns) and are decided."""
        for plan in self._planner.due(until):
            self._pool.append(self._encoder.encode(plan, self._new_watch()))

    def ask(self, question: Question, moment: int) -> AnswerRecord:
        """Answer a question asked at `moment` (Unix ns), up to which `advance` was called."""
        self._asker.check(question)
        tail = self._planner.tail(moment)
        if tail is None:
            return self._unanswered(question, moment, NO_FRAME)
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
        return self._record(
            question,
            moment,
            facts,
            tail.gaze.gaze_at,
            answer=answer.text,
            probabilities=answer.probabilities,
            ttft_ms=answer.ttft_ms,
            watch=watch,
        )

    def _unanswered(self, question: Question, moment: int, note: str) -> AnswerRecord:
        return self._record(question, moment, [], None, note=note)

    def _record(
        self,
        question: Question,
        moment: int,
        facts: Sequence[StepFact],
        gaze_at: int | None,
        answer: str | None = None,
        probabilities: dict[str, float] | None = None,
        ttft_ms: float | None = None,
        watch: Stopwatch | None = None,
        note: str | None = None,
    ) -> AnswerRecord:
        frame_at = facts[-1].frames[1] if facts else None
        counts = self._counts()
        return AnswerRecord(
            question=question.text,
            options=tuple(bare(question.options, letter) for letter in _letters(question)),
            answer=answer,
            probabilities=probabilities,
            truth=question.truth,
            asked_at=moment,
            frame_at=frame_at,
            gaze_at=gaze_at,
            frame_age_ms=age_ms(moment, frame_at),
            gaze_age_ms=age_ms(moment, gaze_at),
            fixations=used_fixations(facts) if self._options.use_gaze else (),
            context_start=facts[0].frames[1] if facts else None,
            steps=tuple(fact.frames[1] for fact in facts),
            ttft_ms=ttft_ms,
            stages_ms=watch.stages_ms() if watch else {},
            frames=_stream_fact(counts.frames, {}),
            gaze=_stream_fact(counts.gaze, self._gaze.dropped),
            protocol="causal",
            bundle=self._models.bundle.manifest.name,
            engine=self._models.engine_name,
            note=note,
        )


def fixation_rule(name: str, settings: Settings, info: DeviceInfo) -> FixationRule:
    """The rule of that name for a device."""
    if name == "file":
        return FileRule()
    if name == "device":
        return DeviceRule()
    if name == "velocity":
        return VelocityRule(info.frame_width, info.frame_height)
    return DispersionRule(settings.dispersion_radius, settings.gaze_age_limit)


def used_fixations(facts: Sequence[StepFact]) -> tuple[FixationFact, ...]:
    """Every fixation that a step carried, with the step's index."""
    return tuple(
        FixationFact.of(fixation, index)
        for index, fact in enumerate(facts)
        for fixation in fact.fixations
    )


def _letters(question: Question) -> str:
    return "ABCDEFGH"[: len(question.options)]


def _stream_fact(counts: StreamCounts, late: dict[str, int]) -> StreamFact:
    dropped = dict(counts.dropped)
    for cause, number in late.items():
        dropped[cause] = dropped.get(cause, 0) + number
    return StreamFact(counts.received, counts.received - sum(dropped.values()), dropped)
