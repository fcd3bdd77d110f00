"""A run on disk: what it was run with, and one line per question, appended as it is answered.

`run.json` says what was asked of what; `results.jsonl` holds the answers. A run that was stopped
at any moment goes on where it was: a line cut short is dropped, its question asked again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec

from benchmarks.streamgaze.data.dataset import DataSetError
from benchmarks.streamgaze.data.questions import EvaluationQuestion, Problem, QuestionKey
from benchmarks.streamgaze.data.scoring import YES, alert_is_right, choice_is_right
from runtime.answers.questions import YES_NO
from runtime.answers.record import AnswerRecord, FixationFact

RUN_FILE = "run.json"
RESULTS_FILE = "results.jsonl"
NO_ANSWER_GIVEN = "no answer"
DAMAGED = (msgspec.MsgspecError, RecursionError, UnicodeError)
LONGEST = 120  # characters of a setting in an error message


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


class ResultFile:
    """The results of a run being made. One process at a time."""

    def __init__(self, folder: Path, conditions: Conditions) -> None:
        """Open a new run, or one that was stopped.

        Raises DataSetError for a run made under other conditions, one that another process is
        making, and one that is damaged.
        """
        self._path = folder / RESULTS_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab+")
        except OSError as error:
            raise DataSetError(f"--out {folder}: can't be written: {error.strerror}") from error
        try:
            self._lock(folder)
            _check_conditions(folder, conditions)
            self.done = frozenset(result.key for result in self._complete())
        except DataSetError:
            self._file.close()
            raise

    def append(self, result: Result) -> None:
        """Write one result; afterwards not even a power cut loses it."""
        self._file.write(msgspec.json.encode(result) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def read(self) -> list[Result]:
        """All results so far."""
        return list(self._complete())

    def close(self) -> None:
        """Close the file, which lets others go on with the run."""
        self._file.close()

    def _lock(self, folder: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataSetError(f"--out {folder}: another process is making this run") from error

    def _complete(self) -> Iterator[Result]:
        """The results so far; what follows the last whole line is cut off."""
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        yield from _decoded(self._path, content[:whole])


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it lies on disk, finished or not."""

    folder: Path
    conditions: Conditions
    results: tuple[Result, ...]


def read_run(folder: Path) -> Run:
    """Read a run. Raises DataSetError for a folder that holds none, or a damaged one."""
    if not (folder / RUN_FILE).is_file():
        raise DataSetError(f"{folder}: there is no run: it has no {RUN_FILE}")
    conditions = _read_conditions(folder / RUN_FILE)
    path = folder / RESULTS_FILE
    content = path.read_bytes() if path.is_file() else b""
    whole = content[: content.rfind(b"\n") + 1]
    return Run(folder, conditions, tuple(_decoded(path, whole)))


def _decoded(path: Path, lines: bytes) -> Iterator[Result]:
    for number, line in enumerate(lines.splitlines(), start=1):
        try:
            yield msgspec.json.decode(line, type=Result)
        except DAMAGED as error:
            raise DataSetError(f"{path}, line {number}: damaged: {error}") from error


def _check_conditions(folder: Path, conditions: Conditions) -> None:
    path = folder / RUN_FILE
    if not path.is_file():
        partial = path.with_suffix(".partial")
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(conditions), indent=1) + b"\n")
        partial.replace(path)
        return
    before, now = asdict(_read_conditions(path)), asdict(conditions)
    for name, value in now.items():
        if before[name] != value:
            raise DataSetError(
                f"--out {folder}: it holds a run with another {name.replace('_', ' ')} "
                f"({_short(before[name])}, now {_short(value)}): give another folder"
            )


def _read_conditions(path: Path) -> Conditions:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Conditions)
    except DAMAGED as error:
        raise DataSetError(f"{path}: damaged: {error}") from error


def _short(value: object) -> str:
    """A setting in an error message."""
    text = (
        ", ".join(f"{task}: {digest[:8]}" for task, digest in value.items())
        if isinstance(value, dict)
        else str(value)
    )
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
