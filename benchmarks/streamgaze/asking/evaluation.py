"""The run: video by video, every question that is not answered yet, each result kept at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.streamgaze.asking.causal import Outcome, answer_causally
from benchmarks.streamgaze.asking.released import answer_as_released
from benchmarks.streamgaze.asking.results import Result
from benchmarks.streamgaze.data.dataset import TaskFile, by_video
from benchmarks.streamgaze.data.media import Library, Media, Unusable
from benchmarks.streamgaze.data.questions import EvaluationQuestion, Problem, QuestionKey
from runtime.model.models import Models

Protocol = Literal["causal", "released"]


@dataclass(frozen=True, slots=True)
class Way:
    """How questions are asked. `ask_after`: seconds by which each is asked later (causal).

    `isolated`: every question from the file on, sharing nothing with the others of its video.
    """

    protocol: Protocol
    use_gaze: bool
    ask_after: float = 0.0
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class FoundProblem:
    """Why questions can't be asked. `about`: one question, or a video and how many ask about it."""

    about: str
    problem: Problem
    questions: frozenset[QuestionKey]


def evaluate(
    models: Models,
    library: Library,
    files: Sequence[TaskFile],
    way: Way,
    done: frozenset[QuestionKey] = frozenset(),
) -> Iterator[Result]:
    """The results of all questions but those `done`, whatever these are in the same order."""
    for video, questions in by_video(files):
        pending = [question for question in questions if question.key not in done]
        groups = [[question] for question in pending] if way.isolated else [pending]
        for group in filter(None, groups):
            yield from _video_results(models, library, video, group, way)


def problems(
    library: Library,
    files: Sequence[TaskFile],
    looked_at: Callable[[int], None] = lambda questions: None,
) -> Iterator[FoundProblem]:
    """Every problem of the data set, without a model. `looked_at` hears of questions checked."""
    for video, questions in by_video(files):
        keys = frozenset(question.key for question in questions)
        media, found = library.examine(video) if video else (None, ())
        for problem in found:
            yield FoundProblem(f"{video}, {len(keys)} questions", problem, keys)
        for question in questions:
            late = media.problem_of(question) if media else None
            for problem in (*question.problems, *filter(None, [late])):
                yield FoundProblem(str(question.key), problem, frozenset([question.key]))
        looked_at(len(questions))


def _video_results(
    models: Models,
    library: Library,
    video: str,
    questions: Sequence[EvaluationQuestion],
    way: Way,
) -> Iterator[Result]:
    media = _open(library, video, questions)
    askable: list[EvaluationQuestion] = []
    for question in questions:
        problem = _problem(question, media)
        if problem is None:
            askable.append(question)
        else:
            yield Result.unasked(question, problem)
    if isinstance(media, Media) and askable:
        start = media.moment(0.0)
        for question, outcome in _answers(models, media, askable, way):
            if isinstance(outcome, Problem):
                yield Result.unasked(question, outcome)
            else:
                yield Result.answered(question, outcome, start)


def _answers(
    models: Models, media: Media, questions: Sequence[EvaluationQuestion], way: Way
) -> Iterator[tuple[EvaluationQuestion, Outcome]]:
    if way.protocol == "causal":
        return answer_causally(models, media, questions, way.use_gaze, way.ask_after)
    return answer_as_released(models, media, questions, way.use_gaze)


def _open(
    library: Library, video: str, questions: Sequence[EvaluationQuestion]
) -> Media | Problem | None:
    """The video, or why it can't be used; None if no question is sound enough to need it."""
    if all(question.problem is not None for question in questions):
        return None
    try:
        return library.open(video)
    except Unusable as error:
        return error.problem


def _problem(question: EvaluationQuestion, media: Media | Problem | None) -> Problem | None:
    if question.problem is not None:
        return question.problem
    return media.problem_of(question) if isinstance(media, Media) else media
