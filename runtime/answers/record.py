"""What happened, one JSON line each. The console and the benchmarks print from these records.

Unknown is null, never absent, never 0. Times of capture in Unix ns, durations in milliseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from devices.device import StreamCounts
from devices.samples import Fixation, FixationSource
from runtime.answers.heard import HeardFact, HeardRecord, SpokenRecord
from runtime.answers.questions import Answer, Question, well_formed
from runtime.stream.steps import StepFact

NANOSECONDS_PER_MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class FixationFact:
    """A fixation that was used. `step` is the index in `steps`; `end` null while it lasted.

    `whole`: its centre was known beforehand from a fixation file.
    """

    x: float
    y: float
    start: int
    end: int | None
    step: int
    source: FixationSource
    whole: bool

    @classmethod
    def of(cls, fixation: Fixation, step: int) -> FixationFact:
        """The facts of a fixation used in a step."""
        return cls(
            fixation.x,
            fixation.y,
            fixation.started_at,
            fixation.ended_at,
            step,
            fixation.source,
            fixation.whole,
        )


@dataclass(frozen=True, slots=True)
class StreamFact:
    """Samples of one kind since the start: received = used + dropped by cause + waiting."""

    received: int
    used: int
    dropped: dict[str, int]


@dataclass(frozen=True, slots=True)
class WithoutGaze:
    """What the same steps are answered where no residual is added."""

    answer: str
    probabilities: dict[str, float] | None


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """An answer and everything about its time. `heard`: the words, where it was asked aloud."""

    question: str
    options: tuple[str, ...]
    answer: str | None
    probabilities: dict[str, float] | None
    truth: str | None
    asked_at: int
    frame_at: int | None
    gaze_at: int | None
    frame_age_ms: float | None
    gaze_age_ms: float | None
    fixations: tuple[FixationFact, ...]
    context_start: int | None
    steps: tuple[int, ...]
    ttft_ms: float | None
    stages_ms: Mapping[str, float]
    frames: StreamFact
    gaze: StreamFact
    protocol: str
    bundle: str
    engine: str
    note: str | None = None
    without_gaze: WithoutGaze | None = None
    heard: HeardFact | None = None
    kind: Literal["answer", "alert"] = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord(AnswerRecord):
    """An alert that was raised: the judgement that raised it, and when.

    `raised_at` Unix ns; `since_frame_ms` and `since_fixation_ms` are how long before that the frame
    was captured and the fixation that set it off (`set_off_by`) began.
    """

    alert: str
    raised_at: int
    since_frame_ms: float | None
    since_fixation_ms: float | None
    set_off_by: FixationFact | None
    kind: Literal["alert"] = "alert"


def alert_record(
    alert: str, judgement: AnswerRecord, raised_at: int, frame_at: int, cause: Fixation | None
) -> AlertRecord:
    """The record of an alert raised at `raised_at` (Unix ns) by a frame and a fixation."""
    known = {
        field.name: getattr(judgement, field.name)
        for field in fields(judgement)
        if field.name != "kind"
    }
    return AlertRecord(
        **known,
        alert=alert,
        raised_at=raised_at,
        since_frame_ms=age_ms(raised_at, frame_at),
        since_fixation_ms=age_ms(raised_at, cause.started_at if cause else None),
        set_off_by=FixationFact.of(cause, len(judgement.steps) - 1) if cause else None,
    )


@dataclass(frozen=True, slots=True)
class SecondRecord:
    """One second of stream: what came, what became of it, and how old the newest is."""

    at: int
    frames: StreamFact
    gaze: StreamFact
    steps: int
    steps_dropped: int
    contexts: int
    waiting: int
    frame_at: int | None
    gaze_at: int | None
    step_at: int | None
    frame_age_ms: float | None
    gaze_age_ms: float | None
    step_age_ms: float | None
    kind: Literal["second"] = "second"


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds of one stage over a run; p50 to p99 to within a percent."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class SummaryRecord:
    """The end of a run.

    `glances_dropped`: confirmed fixations at which alerts were not judged, since newer work came.
    """

    started_at: int | None
    ended_at: int | None
    answers: int
    known: int
    right: int
    alerts: int
    steps: int
    steps_dropped: int
    glances_dropped: int
    frames: StreamFact
    gaze: StreamFact
    sound: StreamFact | None
    stages: dict[str, Percentiles]
    protocol: str
    bundle: str
    engine: str
    kind: Literal["summary"] = "summary"


Record = AnswerRecord | AlertRecord | SecondRecord | SummaryRecord | HeardRecord | SpokenRecord


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is the same for every record of a session."""

    protocol: str
    bundle: str
    engine: str


def answer_record(
    question: Question,
    moment: int,
    conditions: Conditions,
    steps: Sequence[StepFact],
    gaze_at: int | None,
    answer: Answer | None,
    stages_ms: Mapping[str, float],
    frames: StreamFact,
    gaze: StreamFact,
    note: str | None = None,
    without_gaze: Answer | None = None,
    heard: HeardFact | None = None,
) -> AnswerRecord:
    """The record of a question asked at `moment` (Unix ns) about `steps`."""
    frame_at = steps[-1].frames[1] if steps else None
    return AnswerRecord(
        question=well_formed(question.text),
        options=tuple(map(well_formed, question.options)),
        answer=answer.text if answer else None,
        probabilities=answer.probabilities if answer else None,
        truth=question.truth,
        asked_at=moment,
        frame_at=frame_at,
        gaze_at=gaze_at,
        frame_age_ms=age_ms(moment, frame_at),
        gaze_age_ms=age_ms(moment, gaze_at),
        fixations=tuple(
            FixationFact.of(fixation, index)
            for index, step in enumerate(steps)
            for fixation in step.fixations
        ),
        context_start=steps[0].frames[1] if steps else None,
        steps=tuple(step.frames[1] for step in steps),
        ttft_ms=answer.ttft_ms if answer else None,
        stages_ms=stages_ms,
        frames=frames,
        gaze=gaze,
        protocol=conditions.protocol,
        bundle=conditions.bundle,
        engine=conditions.engine,
        note=note,
        without_gaze=WithoutGaze(without_gaze.text, without_gaze.probabilities)
        if without_gaze
        else None,
        heard=heard,
    )


def stream_fact(
    counts: StreamCounts, used: int, dropped_later: Mapping[str, int] | None = None
) -> StreamFact:
    """What became of a device's samples, with what the runtime dropped of the delivered ones."""
    dropped = Counter(counts.dropped)
    dropped.update(dropped_later or {})
    return StreamFact(counts.received, used, {cause: n for cause, n in dropped.items() if n})


def age_ms(moment: int, captured_at: int | None) -> float | None:
    """Milliseconds from capture to `moment`; None where nothing was captured."""
    if captured_at is None:
        return None
    return (moment - captured_at) / NANOSECONDS_PER_MILLISECOND
