"""A run on disk: `run.json` says what is asked of what; `results.jsonl` holds the answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.streamgaze.data.dataset import DataSetError
from benchmarks.streamgaze.data.questions import EvaluationQuestion, Problem, QuestionKey
from benchmarks.streamgaze.data.scoring import YES, alert_is_right, choice_is_right
from runtime.answers.questions import YES_NO
from runtime.answers.record import AnswerRecord, FixationFact
from runtime.ledger import Job

NO_ANSWER_GIVEN = "no answer"


@dataclass(frozen=True, slots=True)
class Conditions:
    """Everything that an answer depends on.

    `data`: sha256 of each task file by task. `split`: its part and hash; empty for the whole.
    `empty`: tasks whose file holds no question of those. `rules`: which version of the protocols'.
    """

    bundle: str
    bundle_digest: str
    weights: str
    engine: str
    protocol: str
    gaze: str
    ask_after: float
    data: dict[str, str]
    split: str
    limit: int | None
    empty: tuple[str, ...] = ()
    rules: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """One question of a run.

    `correct` by the official rules; None where it leaves the denominator. `skipped`: the cause,
    None if it was asked. Times of capture in Unix ns, of which `video_start` is the first frame's.
    """

    key: QuestionKey
    is_alert: bool
    expected: str
    response: str | None
    correct: bool | None
    skipped: str | None
    reason: str | None
    probabilities: dict[str, float] | None = None
    video_start: int | None = None
    asked_at: int | None = None
    frame_at: int | None = None
    frame_age_ms: float | None = None
    context_start: int | None = None
    steps: tuple[int, ...] = ()
    fixations: tuple[FixationFact, ...] = ()
    ttft_ms: float | None = None
    stages_ms: dict[str, float] = field(default_factory=dict)

    @classmethod
    def answered(
        cls, question: EvaluationQuestion, record: AnswerRecord, video_start: int
    ) -> Result:
        """The result of a question that was asked; a record without an answer is a skip."""
        if record.answer is None:
            return cls.unasked(question, Problem(NO_ANSWER_GIVEN, record.note or "no answer"))
        response = _as_said(question, record.answer)
        return cls(
            question.key,
            question.is_alert,
            question.expected,
            response,
            _is_right(question, response),
            skipped=None,
            reason=None,
            probabilities=record.probabilities,
            video_start=video_start,
            asked_at=record.asked_at,
            frame_at=record.frame_at,
            frame_age_ms=record.frame_age_ms,
            context_start=record.context_start,
            steps=record.steps,
            fixations=record.fixations,
            ttft_ms=record.ttft_ms,
            stages_ms=dict(record.stages_ms),
        )

    @classmethod
    def unasked(cls, question: EvaluationQuestion, problem: Problem) -> Result:
        """The result of a question that could not be asked.

        Without a response an alert's test point is wrong, and a multiple choice does not count;
        neither does what the data set itself has wrong.
        """
        wrong = question.is_alert and question.problem is None
        return cls(
            question.key,
            question.is_alert,
            question.expected,
            response=None,
            correct=False if wrong else None,
            skipped=problem.cause,
            reason=problem.reason,
        )


def _as_said(question: EvaluationQuestion, answer: str) -> str:
    """An alert's letter as the word it stands for; of C and D, which stand for none, the letter."""
    words = dict(zip("AB", YES_NO, strict=True)) if question.is_alert else {}
    return words.get(answer, answer)


def _is_right(question: EvaluationQuestion, response: str) -> bool | None:
    if question.is_alert:
        return alert_is_right(int(question.expected == YES), response)
    return choice_is_right(question.expected, response)


RUNS = Job("run", "run.json", "results.jsonl", Conditions, Result, DataSetError)


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it lies on disk, finished or not."""

    folder: Path
    conditions: Conditions
    results: tuple[Result, ...]


def read_run(folder: Path) -> Run:
    """Read a run. Raises DataSetError for a folder that holds none, or a damaged one."""
    return Run(folder, RUNS.read_conditions(folder), tuple(RUNS.read(folder)))
