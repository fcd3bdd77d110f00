"""One stream being watched under the causal protocol: samples in, answers out.

Live and offline evaluation run this same code. A question sees exactly what was captured by the
moment it is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from devices.device import Delivery, DeviceCounts, DeviceInfo
from devices.optics.fields import assumed_field
from runtime.answers.questions import Question
from runtime.answers.record import AnswerRecord, Conditions, answer_record, stream_fact
from runtime.answers.watcher import TAIL_LEFT_OUT, Reply, Watcher
from runtime.bundle.manifest import Manifest, Settings
from runtime.errors import NotFiniteError, RuntimeFault
from runtime.model.context_pool import MOST_CONTEXTS
from runtime.model.encoder import Encoder
from runtime.model.models import Models
from runtime.stopwatch import Stopwatch
from runtime.stream.adaptive_rule import AdaptiveRule
from runtime.stream.circumstances import circumstances
from runtime.stream.fixation_rules import (
    DeviceRule,
    DispersionRule,
    FileRule,
    NoFixations,
    VelocityRule,
)
from runtime.stream.frame_timeline import FrameTimeline
from runtime.stream.gaze_timeline import GazeTimeline
from runtime.stream.sampling import FRAMES_PER_STEP, sampling_rate
from runtime.stream.segments import FixationRule
from runtime.stream.steps import StepPlanner


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
        """The bundle's settings where nothing else is asked for.

        Raises RuntimeFault for a rule that the device can't feed.
        """
        seconds = window or settings.window
        chosen = rule or ("file" if info.gaze_from == "fixation file" else settings.fixation_rule)
        if use_gaze:
            _check_fed(chosen, info)
        return cls(chosen, seconds, rate or sampling_rate(seconds), use_gaze)

    @property
    def window_steps(self) -> int:
        """Temporal steps in a full window."""
        return max(1, int(self.window * self.rate / FRAMES_PER_STEP))


class Session:
    """Watches one stream, everything in its caller's thread.

    `on_text` hears of free text as it is generated. `counts` tells what the device received.
    `opens_at` (Unix ns): one clip is watched that starts there; its steps are counted from there,
    and one context holds them all. `encoder`: shared with other sessions that watch this stream.
    """

    def __init__(
        self,
        models: Models,
        info: DeviceInfo,
        options: SessionOptions,
        counts: Callable[[], DeviceCounts],
        on_text: Callable[[str], None] = lambda piece: None,
        new_watch: Callable[[], Stopwatch] = Stopwatch,
        opens_at: int | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        manifest = models.bundle.manifest
        grid = manifest.settings.live_height, manifest.settings.live_width
        self.options = options
        self._conditions = Conditions("causal", manifest.name, models.engine_name)
        self._counts = counts
        self._new_watch = new_watch
        self._gaze = gaze_timeline(options, manifest.settings, info)
        self._planner = step_planner(models, options, self._gaze, opens_at)
        self._encoder = encoder or Encoder(models, grid, options.use_gaze)
        contexts = MOST_CONTEXTS if opens_at is None else 1
        self._watcher = Watcher(models, grid, options.window_steps, on_text, contexts)

    def receive(self, delivery: Delivery, now: int) -> None:
        """Take in what a device delivered at `now` (Unix ns); nothing is computed yet."""
        self._planner.receive(delivery, now)

    def ready(self, moment: int) -> bool:
        """Whether everything captured up to `moment` (Unix ns) was received or is not waited for.

        Then every step that falls before it can be had, and a question of it may be asked.
        """
        return self._planner.known_until >= moment

    def advance(self, until: int) -> None:
        """Encode and append the steps that fall at or before `until` (Unix ns) and are decided."""
        for plan in self._planner.due(until):
            watch = self._new_watch()
            with suppress(NotFiniteError):  # a step that is no numbers is in no context
                self._watcher.append(self._encoder.encode(plan, watch), watch)

    def ask(self, question: Question, moment: int) -> AnswerRecord:
        """Answer a question asked at `moment` (Unix ns), up to which `advance` was called."""
        self._watcher.asker.check(question)
        plan, watch = self._planner.tail(moment), self._new_watch()
        note = circumstances(plan, moment, self._planner.start, self._planner.interval)
        if plan is None:
            return self._record(question, moment, None, None, watch, note)
        newest = self._watcher.newest
        shown = newest is not None and newest.shows(plan)
        tail, notes = None, [note]
        try:
            tail = None if shown else self._encoder.encode(plan, watch)
        except NotFiniteError as error:
            notes.append(f"{TAIL_LEFT_OUT} ({error})")
        (reply,) = self._watcher.ask([question], tail, watch)
        said = "; ".join(filter(None, [*notes, reply.note])) or None
        return self._record(question, moment, reply, plan.gaze.gaze_at, watch, said)

    def _record(
        self,
        question: Question,
        moment: int,
        reply: Reply | None,
        gaze_at: int | None,
        watch: Stopwatch,
        note: str | None,
    ) -> AnswerRecord:
        counts = self._counts()
        return answer_record(
            question,
            moment,
            self._conditions,
            reply.steps if reply else (),
            gaze_at,
            reply.answer if reply else None,
            watch.stages_ms(),
            stream_fact(counts.frames, counts.frames.delivered),
            stream_fact(counts.gaze, self._gaze.used, self._gaze.dropped),
            note,
        )


def gaze_timeline(options: SessionOptions, settings: Settings, info: DeviceInfo) -> GazeTimeline:
    """The timeline that a session keeps of a device's gaze."""
    rule = fixation_rule(options, settings, info)
    return GazeTimeline(rule, settings.min_open, settings.gaze_age_limit)


def step_planner(
    models: Models, options: SessionOptions, gaze: GazeTimeline, start: int | None = None
) -> StepPlanner:
    """The planner of steps on the bundle's live grid; `start` (Unix ns) as in `StepPlanner`."""
    return StepPlanner(frame_timeline(models, options), gaze, options.rate, start)


def frame_timeline(models: Models, options: SessionOptions) -> FrameTimeline:
    """The timeline that a session keeps of a device's frames, at the bundle's live size."""
    return FrameTimeline(*live_size(models.bundle.manifest), options.rate)


def live_size(manifest: Manifest) -> tuple[int, int]:
    """Height and width in pixels to which every frame is resized."""
    pixels = manifest.geometry.vision.token_pixels
    return manifest.settings.live_height * pixels, manifest.settings.live_width * pixels


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
    if options.rule == "adaptive":
        size = info.frame_width, info.frame_height
        return AdaptiveRule(info.field_of_view or assumed_field(*size))
    return DispersionRule(settings.dispersion_radius, settings.gaze_age_limit)


def _check_fed(rule: str, info: DeviceInfo) -> None:
    """Refuse a rule that would never find a fixation in what the device gives. RuntimeFault."""
    if rule == "device" and not info.detects_fixations:
        raise RuntimeFault(
            f"{info.name} tells no fixations of its own: find them in its gaze, with --fixations "
            "adaptive"
        )
    if rule not in ("device", "file") and info.gaze_from == "fixation file":
        raise RuntimeFault(
            f"{info.name} has no gaze, only a fixation file: leave out --fixations {rule}"
        )
