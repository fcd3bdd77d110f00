"""The released evaluation's protocol, on a recording: one clip, sampled afresh for each question.

Its properties are kept on purpose (STREAMGAZE's protocol `released`); what it does not reproduce of
the release is the re-encoding of cut clips and the retry with fewer frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.device import Delivery, Device, DeviceCounts, DeviceInfo
from devices.samples import Blink, Fixation, GazeSample, SceneFrame
from runtime.answers.listeners import Listeners
from runtime.answers.questions import LETTERS as ALPHABET
from runtime.answers.questions import QUESTION_TOKENS, Asker, Question
from runtime.answers.record import AnswerRecord, Conditions, answer_record, stream_fact
from runtime.answers.session import SessionOptions, fixation_rule
from runtime.inputs.gaze_encoding import gaze_encoding
from runtime.model.context import Context
from runtime.model.models import Models
from runtime.run.capture import DueQuestion
from runtime.stopwatch import Stopwatch
from runtime.stream.released_clip import ReleasedClip, released_clip, released_resized
from runtime.stream.sampling import FRAMES_PER_STEP, released_grid, vjepa_indices
from runtime.stream.segments import FrameMark, GazeEvent
from runtime.stream.steps import StepFact, scene_motion

LETTERS = 4  # the arg-max runs over A to D, whatever the options
MARKED = "the text holds the model's own marks, which count as such under this protocol"
TICK = int(0.01 * NANOSECONDS)  # between two looks at the device


@dataclass(frozen=True, slots=True)
class ReleasedQuestion(Question):
    """A question as the released code words it: stripped, an option's letter put before it unless
    it begins with just that letter, in either case, and a full stop."""

    @classmethod
    def of(cls, question: Question) -> ReleasedQuestion:
        """The same question; its arg-max runs over four letters."""
        letters = LETTERS if question.options else None
        return cls(question.text, question.options, question.truth, letters)

    def prompt(self) -> str:
        """The text of the user's turn."""
        if not self.options:
            return self.text
        lines = []
        for letter, option in zip(ALPHABET, map(str.strip, self.options), strict=False):
            lettered = option.upper().startswith(f"{letter}.")
            lines.append(option if lettered else f"{letter}. {option}")
        listed = "\n".join(lines)
        return f"Question: {self.text.strip()}\nOptions:\n{listed}\n\nThe best option is:"


@dataclass(frozen=True, slots=True, eq=False)
class _EncodedClip:
    """The clip that ends at `moment` (Unix ns) and the context that holds it."""

    moment: int
    clip: ReleasedClip
    context: Context


class ReleasedSession:
    """Answers questions about a recording as the released evaluation does.

    Gaze is collected while the recording plays; frames are read at the question, with `read`
    (their indices -> RGB uint8 (h, w, 3) each). What was encoded of a clip serves every question
    asked about that clip in a row.
    """

    def __init__(
        self,
        models: Models,
        frame_times: NDArray[np.int64],
        read: Callable[[Sequence[int]], Sequence[NDArray[np.uint8]]],
        info: DeviceInfo,
        options: SessionOptions,
        counts: Callable[[], DeviceCounts],
        on_text: Callable[[str], None] = lambda piece: None,
    ) -> None:
        """`frame_times`: capture times of the recording's frames, Unix ns."""
        self.options = options
        self._models = models
        self._counts = counts
        self._read = read
        self._times = frame_times
        self._newest: _EncodedClip | None = None
        self._rule = fixation_rule(options, models.bundle.manifest.settings, info)
        self._motion = scene_motion(self._rule.follows_scene)
        self._events: deque[GazeEvent] = deque()
        self._closed: list[Fixation] = []
        self._newest_gaze_at: int | None = None
        bundle = models.bundle.manifest.name
        self._conditions = Conditions("released", bundle, models.engine_name)
        self._asker = Asker(models.bundle, marks=True)
        self._on_text = on_text

    def receive(self, delivery: Delivery) -> None:
        """Take in what a device delivered; nothing is computed yet."""
        for sample in delivery.samples:
            if isinstance(sample, SceneFrame):
                flow = self._motion and self._motion.follow(sample.pixels, sample.captured_at)
                self._events.append(FrameMark(sample.captured_at, flow))
            elif isinstance(sample, GazeSample | Fixation | Blink):
                self._events.append(sample)

    def advance(self, until: int) -> None:
        """Find the fixations in what was captured up to `until` (Unix ns)."""
        while self._events and self._events[0].captured_at <= until:
            event = self._events.popleft()
            if isinstance(event, GazeSample):
                self._newest_gaze_at = event.captured_at
            if (closed := self._rule.feed(event)) is not None:
                self._closed.append(closed)

    def ask(self, question: Question, moment: int) -> AnswerRecord:
        """Answer a question about the window that ends at `moment` (Unix ns)."""
        question = ReleasedQuestion.of(question)
        self._asker.check(question)
        watch = Stopwatch()
        if self._newest is None or self._newest.moment != moment:
            self._newest = self._encode(moment, watch)
        clip, context = self._newest.clip, self._newest.context
        answer = self._asker.ask(question, context, watch, self._on_text)
        counts = self._counts()
        return answer_record(
            question,
            moment,
            self._conditions,
            self._facts(clip),
            self._newest_gaze_at,
            answer,
            watch.stages_ms(),
            stream_fact(counts.frames, counts.frames.delivered),
            stream_fact(counts.gaze, counts.gaze.delivered),
            MARKED if self._asker.is_marked(question) else None,
        )

    def _encode(self, moment: int, watch: Stopwatch) -> _EncodedClip:
        """The clip that ends at `moment` (Unix ns), in a context of its own."""
        begin = max(int(self._times[0]), moment - round(self.options.window * NANOSECONDS))
        clip = released_clip(self._times, self._closed, begin, moment)
        with watch.stage("frames"):
            frames = self._read(clip.indices.tolist())
        height, width = frames[0].shape[:2]
        pixels = self._models.bundle.manifest.geometry.vision.token_pixels
        grid = released_grid(width, height, pixels)
        size = grid[0] * pixels, grid[1] * pixels
        small = np.stack([released_resized(frame, *size) for frame in frames])
        return _EncodedClip(moment, clip, self._fill(clip, small, grid, watch))

    def _fill(
        self,
        clip: ReleasedClip,
        frames: NDArray[np.uint8],
        grid: tuple[int, int],
        watch: Stopwatch,
    ) -> Context:
        """Encode the clip's frames (n, h, w, 3) and prefill them."""
        manifest = self._models.bundle.manifest
        steps = len(clip.step_times)
        tokens = steps * grid[0] * grid[1] + len(manifest.prompt.before_video)
        capacity = tokens + QUESTION_TOKENS + manifest.settings.max_new_tokens
        context = self._models.context(grid, capacity)
        features = None
        if self.options.use_gaze and clip.active is not None:
            with watch.stage("vjepa"):
                seen = vjepa_indices(len(frames), manifest.geometry.vjepa.frames)
                features = self._models.features(frames[np.unique(seen)], steps)
        for step in range(steps):
            with watch.stage("vision"):
                visual = self._models.visual(frames[FRAMES_PER_STEP * step :][:FRAMES_PER_STEP])
            residuals = None
            if features is not None and clip.active is not None:
                with watch.stage("resampler"):
                    scene = self._models.scene(features, step, steps, grid)
                    width = manifest.geometry.resampler.width
                    encoding = gaze_encoding(clip.active[step], width)
                    residuals = self._models.residuals(scene, encoding)
            with watch.stage("prefill"):
                context.append_step(visual, residuals)
        return context

    def _facts(self, clip: ReleasedClip) -> list[StepFact]:
        facts = []
        for step, time in enumerate(clip.step_times):
            older, newer = clip.indices[FRAMES_PER_STEP * step :][:FRAMES_PER_STEP]
            frames = int(self._times[older]), int(self._times[newer])
            gazed = self.options.use_gaze and clip.active is not None
            facts.append(StepFact(frames, time, clip.active[step] if gazed else (), None))
        return facts


def answer_all(
    session: ReleasedSession,
    device: Device,
    due: Sequence[DueQuestion],
    listeners: Listeners,
) -> None:
    """Play the recording and answer every question at its moment."""
    for asked in sorted(due, key=lambda question: question.moment):
        while (now := device.clock.now()) < asked.moment:
            session.receive(device.poll())
            device.clock.sleep_until(min(asked.moment, now + TICK))
        session.receive(device.poll())
        session.advance(asked.moment)
        listeners.tell(session.ask(asked.question, asked.moment))
