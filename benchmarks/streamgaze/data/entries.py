"""The entries of a task file, read into questions, whatever they hold."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from benchmarks.streamgaze.data.questions import EvaluationQuestion, Problem, QuestionKey
from benchmarks.streamgaze.data.scoring import NO, YES, letter
from benchmarks.streamgaze.data.tasks import Task, Window, window
from devices.numbers import MOST_SECONDS
from devices.printable import printable
from runtime.answers.questions import LETTERS, well_formed

UNREADABLE_TIME = "unreadable time"
EMPTY_OPTIONS = "empty options"
NO_QUESTION = "no question"
NO_ANSWER = "no right answer"
NO_VIDEO_NAME = "no video named"
MALFORMED = "malformed entry"
CLOCK = re.compile(r"(?:(\d+):)?(?:(\d+):)?(\d+(?:\.\d+)?)$")
LONGEST_TIME = 32  # characters
LONGEST_NAME = 255  # characters of a file name
LONGEST_QUOTE = 120  # characters of what was found, in a reason
EMPTY_CLIP = 1.0  # seconds that a clip lasts which ends where it begins, as in the release

_quoting = reprlib.Repr()
_quoting.maxlevel, _quoting.maxstring, _quoting.maxother = 3, 80, 80


def seconds_of(text: object) -> float | None:
    """Seconds of "MM:SS", "HH:MM:SS", "SS" or a number; None for anything else."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text) if 0 <= text <= MOST_SECONDS else None
    if not isinstance(text, str) or len(text) > LONGEST_TIME:
        return None
    match = CLOCK.match(text.strip())
    if match is None:
        return None
    total = 0.0
    for part in (part for part in match.groups() if part is not None):
        total = total * 60 + float(part)
    return total if total <= MOST_SECONDS else None


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
        yield _broken(QuestionKey(task.name, video, "", ""), "it has no questions")
        return
    for question in questions:
        if not isinstance(question, Mapping):
            key = QuestionKey(task.name, video, "", "")
            yield _broken(key, f"a question is {_quoted(question)}, not an object")
        elif alerts:
            yield from _test_points(task, video, question)
        else:
            yield _multiple_choice(task, video, question)


def _multiple_choice(task: Task, video: str, fields: Mapping[str, object]) -> EvaluationQuestion:
    key = QuestionKey(task.name, video, _text(fields, "question").strip(), _time(fields))
    seconds = seconds_of(fields.get("time_stamp"))
    options = _options(fields.get("options"))
    right = letter(_text(fields, "answer"))
    return EvaluationQuestion(
        key,
        options,
        right,
        is_alert=False,
        window=None if seconds is None else window(task, seconds),
        problems=(
            *_half_characters(fields.get("question"), *_listed(fields.get("options"))),
            *_common_problems(key, seconds),
            *_choice_problems(options, fields, right),
        ),
    )


def _test_points(
    task: Task, video: str, fields: Mapping[str, object]
) -> Iterator[EvaluationQuestion]:
    text, points = _text(fields, "question").strip(), fields.get("test_info", ())
    if not isinstance(points, Sequence) or isinstance(points, str):
        key = QuestionKey(task.name, video, text, "")
        yield _broken(key, f"its test_info is {_quoted(points)}, not a list")
        return
    for point in points:
        given = point if isinstance(point, Mapping) else {}
        key = QuestionKey(task.name, video, text, _time(given, "realtime"))
        seconds, kind = seconds_of(given.get("realtime")), given.get("type")
        problems = [
            *_half_characters(fields.get("question")),
            *_common_problems(key, seconds),
        ]
        clip = None if seconds is None else _clip(given.get("input_video_clip"), seconds)
        if clip is None and seconds is not None:
            wrong = f"its input_video_clip is {_quoted(given['input_video_clip'])}, not two times"
            problems.append(Problem(UNREADABLE_TIME, wrong))
        if kind not in (0, 1) or isinstance(kind, bool):
            wrong = f"the type of its test point is {_quoted(kind)}, not 0 or 1"
            problems.append(Problem(NO_ANSWER, wrong))
        yield EvaluationQuestion(
            key, (), YES if kind == 1 else NO, is_alert=True, window=clip, problems=tuple(problems)
        )


def _clip(given: object, seconds: float) -> Window | None:
    """A test point's own clip where it has one, else all up to `seconds`; None for nonsense."""
    if not given:
        return Window(0.0, seconds)
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) < 2:
        return None
    start, end = seconds_of(given[0]), seconds_of(given[1])
    if start is None or end is None:
        return None
    return Window(start, end if end > start else start + EMPTY_CLIP)


def _common_problems(key: QuestionKey, seconds: float | None) -> Iterator[Problem]:
    if not key.video:
        yield Problem(NO_VIDEO_NAME, "it names no video (video_path)")
    elif len(key.video) > LONGEST_NAME:
        yield Problem(NO_VIDEO_NAME, f"its video has a name of {len(key.video)} characters")
    if not key.question:
        yield Problem(NO_QUESTION, "its question is empty")
    if seconds is None:
        found = _quoted(key.time) if key.time else "missing"
        yield Problem(UNREADABLE_TIME, f"its time is {found}: give MM:SS or HH:MM:SS")


def _half_characters(*texts: object) -> Iterator[Problem]:
    """Of texts that can't be put to anyone as they stand."""
    if any(isinstance(text, str) and _as_text(text) != text for text in texts):
        yield Problem(MALFORMED, "its text holds half a character (a lone surrogate)")


def _choice_problems(
    options: Sequence[str], fields: Mapping[str, object], right: str
) -> Iterator[Problem]:
    if len(options) < 2 or not all(option.strip() for option in options):
        yield Problem(EMPTY_OPTIONS, f"its options are {_quoted(fields.get('options'))}")
    elif len(options) > len(LETTERS):
        many = f"it has {len(options)} options, more than {len(LETTERS)}"
        yield Problem(EMPTY_OPTIONS, many)
    elif right not in LETTERS[: len(options)] or len(right) != 1:
        found = _quoted(fields.get("answer"))
        wrong = f"its answer is {found}, no letter of {len(options)} options"
        yield Problem(NO_ANSWER, wrong)


def _broken(key: QuestionKey, reason: str) -> EvaluationQuestion:
    return EvaluationQuestion(key, (), "", False, None, (Problem(MALFORMED, reason),))


def _options(given: object) -> tuple[str, ...]:
    return tuple(map(_as_text, _listed(given)))


def _listed(given: object) -> Sequence[object]:
    return given if isinstance(given, Sequence) and not isinstance(given, str) else ()


def _video_name(fields: Mapping[str, object]) -> str:
    """The file's name alone: folders in it are those of whoever made the data set."""
    given = _text(fields, "video_path") or _text(fields, "video")
    return PurePosixPath(given.replace("\\", "/")).name


def _time(fields: Mapping[str, object], name: str = "time_stamp") -> str:
    """A time as it stands in the file, long ones cut: no time is so long."""
    return _text(fields, name)[: 2 * LONGEST_TIME]


def _text(fields: Mapping[str, object], name: str) -> str:
    return _as_text(fields.get(name))


def _as_text(value: object) -> str:
    """Text and numbers; nothing for what is neither. Half a character is marked as one."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    return well_formed(str(value))


def _quoted(value: object) -> str:
    """Something of the file in a reason: one line, however long or deep it is."""
    return printable(_quoting.repr(value), LONGEST_QUOTE)
