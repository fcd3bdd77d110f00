"""The questions of a StreamGaze data set, and what is wrong with those that can't be asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from benchmarks.streamgaze.data.scoring import NO, YES, letter
from benchmarks.streamgaze.data.tasks import Task, Window, window
from runtime.answers.questions import LETTERS, Question, alert_question, well_formed

UNREADABLE_TIME = "unreadable time"
EMPTY_OPTIONS = "empty options"
NO_QUESTION = "no question"
NO_ANSWER = "no right answer"
NO_VIDEO_NAME = "no video named"
MALFORMED = "malformed entry"
CLOCK = re.compile(r"(?:(\d+):)?(?:(\d+):)?(\d+(?:\.\d+)?)$")


@dataclass(frozen=True, slots=True)
class QuestionKey:
    """What names a question in a run. `time`: the text of its time stamp, or of its test point.

    `number` tells apart questions that are the same in all the rest: 0 for the first.
    """

    task: str
    video: str
    question: str
    time: str
    number: int = 0

    def __str__(self) -> str:
        return f"{self.task}, {self.video} at {self.time or 'no time'}: {self.question!r}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something can't be asked: a cause to count by, and what exactly is wrong."""

    cause: str
    reason: str


@dataclass(frozen=True, slots=True)
class EvaluationQuestion:
    """A question of the data set. `expected`: a letter, or YES or NO of an alert's test point.

    `window` is None where one of `problems` says that its time can't be read.
    """

    key: QuestionKey
    options: tuple[str, ...]
    expected: str
    is_alert: bool
    window: Window | None
    problems: tuple[Problem, ...] = ()

    @property
    def problem(self) -> Problem | None:
        """The first of its problems; None if it can be asked."""
        return self.problems[0] if self.problems else None

    def asked(self) -> Question:
        """As it is put to the model."""
        if self.is_alert:
            return alert_question(self.key.question, "A" if self.expected == YES else "B")
        return Question(self.key.question, self.options, self.expected)


def seconds_of(text: object) -> float | None:
    """Seconds of "MM:SS", "HH:MM:SS", "SS" or a number; None for anything else."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text) if 0 <= text < float("inf") else None
    match = CLOCK.match(text.strip()) if isinstance(text, str) else None
    if match is None:
        return None
    *whole, last = (part for part in match.groups() if part is not None)
    total = 0.0
    for part in (*whole, last):
        total = total * 60 + float(part)
    return total


def read_entries(task: Task, entries: Sequence[object]) -> Iterator[EvaluationQuestion]:
    """The questions of one task file, in order, keys made unique.

    As in the official scoring, a file is one of alerts if its first question has test points.
    """
    alerts = _is_alert_file(entries)
    seen: dict[QuestionKey, int] = {}
    for entry in entries:
        for question in _entry_questions(task, entry, alerts):
            count = seen[question.key] = seen.get(question.key, -1) + 1
            yield replace(question, key=replace(question.key, number=count))


def _is_alert_file(entries: Sequence[object]) -> bool:
    first = entries[0] if entries else None
    questions = first.get("questions") if isinstance(first, Mapping) else None
    if not isinstance(questions, Sequence) or not questions:
        return False
    return isinstance(questions[0], Mapping) and "test_info" in questions[0]


def _entry_questions(task: Task, entry: object, alerts: bool) -> Iterator[EvaluationQuestion]:
    fields = entry if isinstance(entry, Mapping) else {}
    video = _video_name(fields)
    questions = fields.get("questions")
    if not isinstance(questions, Sequence) or isinstance(questions, str):
        yield _broken(QuestionKey(task.name, video, "", ""), MALFORMED, "it has no questions")
        return
    for question in questions:
        if not isinstance(question, Mapping):
            key = QuestionKey(task.name, video, "", "")
            yield _broken(key, MALFORMED, f"a question is {question!r}, not an object")
        elif alerts:
            yield from _test_points(task, video, question)
        else:
            yield _multiple_choice(task, video, question)


def _multiple_choice(task: Task, video: str, fields: Mapping[str, object]) -> EvaluationQuestion:
    key = QuestionKey(task.name, video, _text(fields, "question"), _text(fields, "time_stamp"))
    seconds = seconds_of(fields.get("time_stamp"))
    options = _options(fields.get("options"))
    right = letter(fields.get("answer"))
    return EvaluationQuestion(
        key,
        options,
        right,
        is_alert=False,
        window=None if seconds is None else window(task, seconds),
        problems=(*_common_problems(key, seconds), *_choice_problems(options, fields, right)),
    )


def _test_points(
    task: Task, video: str, fields: Mapping[str, object]
) -> Iterator[EvaluationQuestion]:
    text, points = _text(fields, "question"), fields.get("test_info", ())
    if not isinstance(points, Sequence) or isinstance(points, str):
        key = QuestionKey(task.name, video, text, "")
        yield _broken(key, MALFORMED, f"its test_info is {points!r}, not a list")
        return
    for point in points:
        given = point if isinstance(point, Mapping) else {}
        key = QuestionKey(task.name, video, text, _text(given, "realtime"))
        seconds, kind = seconds_of(given.get("realtime")), given.get("type")
        problems = list(_common_problems(key, seconds))
        if kind not in (0, 1) or isinstance(kind, bool):
            wrong = f"the type of its test point is {kind!r}, not 0 or 1"
            problems.append(Problem(NO_ANSWER, wrong))
        yield EvaluationQuestion(
            key,
            (),
            YES if kind == 1 else NO,
            is_alert=True,
            window=None if seconds is None else Window(0.0, seconds),
            problems=tuple(problems),
        )


def _common_problems(key: QuestionKey, seconds: float | None) -> Iterator[Problem]:
    if not key.video:
        yield Problem(NO_VIDEO_NAME, "it names no video (video_path)")
    if not key.question.strip():
        yield Problem(NO_QUESTION, "its question is empty")
    if seconds is None:
        found = repr(key.time) if key.time else "missing"
        yield Problem(UNREADABLE_TIME, f"its time is {found}: give MM:SS or HH:MM:SS")


def _choice_problems(
    options: Sequence[str], fields: Mapping[str, object], right: str
) -> Iterator[Problem]:
    if len(options) < 2 or not all(option.strip() for option in options):
        yield Problem(EMPTY_OPTIONS, f"its options are {fields.get('options')!r}")
    elif len(options) > len(LETTERS):
        many = f"it has {len(options)} options, more than {len(LETTERS)}"
        yield Problem(EMPTY_OPTIONS, many)
    elif right not in LETTERS[: len(options)] or len(right) != 1:
        found = fields.get("answer")
        wrong = f"its answer is {found!r}, no letter of {len(options)} options"
        yield Problem(NO_ANSWER, wrong)


def _broken(key: QuestionKey, cause: str, reason: str) -> EvaluationQuestion:
    return EvaluationQuestion(key, (), "", False, None, (Problem(cause, reason),))


def _options(given: object) -> tuple[str, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        return ()
    return tuple("" if option is None else well_formed(str(option)) for option in given)


def _video_name(fields: Mapping[str, object]) -> str:
    """The file's name alone: folders in it are those of whoever made the data set."""
    given = fields.get("video_path") or fields.get("video") or ""
    return PurePosixPath(well_formed(str(given)).replace("\\", "/")).name


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return "" if value is None else well_formed(str(value))
