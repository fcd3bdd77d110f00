"""A StreamGaze data set on disk: its task files, which part of it is wanted, where videos lie."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path, PurePath, PurePosixPath

from benchmarks.streamgaze.data.entries import read_entries
from benchmarks.streamgaze.data.questions import EvaluationQuestion
from benchmarks.streamgaze.data.tasks import TASKS, Task, task_named
from devices.printable import printable
from runtime.remote import listing
from runtime.remote.urls import Location, Url

OVERLAY = "viz"  # folders of videos with the gaze drawn in: never to be shown to a model
LARGEST = 1 << 25  # bytes of a JSON file; the hub's largest has a few MB
MOST_QUESTIONS = 200_000  # of a task file; the hub's largest has two thousand
VIDEO_SUFFIXES = {".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v"}


class DataSetError(Exception):
    """A data set can't be used as asked. The message is one line: what is wrong, what to do."""


@dataclass(frozen=True, slots=True)
class TaskFile:
    """The questions of one task, in the file's order. `digest`: sha256 of the file."""

    task: Task
    digest: str
    questions: tuple[EvaluationQuestion, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which questions are wanted: of some tasks, some videos, at most `limit` per task.

    `tasks` empty: all there are. `videos`: stems of file names; None for all.
    """

    tasks: tuple[Task, ...] = ()
    videos: frozenset[str] | None = None
    limit: int | None = None

    def of(self, questions: Iterable[EvaluationQuestion]) -> tuple[EvaluationQuestion, ...]:
        """The wanted ones among a task's questions."""
        wanted = (question for question in questions if self._wants(question.key.video))
        return tuple(islice(wanted, self.limit))

    def _wants(self, video: str) -> bool:
        return self.videos is None or Path(video).stem in self.videos


def read_tasks(
    root: Path,
    selection: Selection,
    on_error: Callable[[DataSetError], None] | None = None,
) -> list[TaskFile]:
    """The wanted task files under `root`, or `root/qa` as the hub has them.

    Raises DataSetError for a folder without any, for a wanted one that is missing, and for a file
    that is no list in JSON, unless `on_error` is there to hear of that.
    """
    if not root.is_dir():
        raise DataSetError(f"{root}: there is no such data set")
    places = {task: _task_path(root, task) for task in selection.tasks or TASKS}
    found = {task: path for task, path in places.items() if path is not None}
    if not found:
        names = ", ".join(f"{task.name}.json" for task in places)
        raise DataSetError(f"{root}: no task file there or in {root / 'qa'}: looked for {names}")
    if selection.tasks and (missing := [task for task in places if task not in found]):
        raise DataSetError(f"{root}: there is no {missing[0].name}.json, which --tasks asks for")
    files = []
    for task, path in found.items():
        try:
            files.append(_read_task(task, path, selection))
        except DataSetError as error:
            if on_error is None:
                raise
            on_error(error)
    return files


def by_video(files: Iterable[TaskFile]) -> Iterator[tuple[str, list[EvaluationQuestion]]]:
    """All questions of each video, videos in order of their names."""
    questions = [question for file in files for question in file.questions]
    ordered = sorted(questions, key=lambda question: question.key.video)
    for video, own in groupby(ordered, key=lambda question: question.key.video):
        yield video, list(own)


def tasks_named(names: Sequence[str]) -> tuple[Task, ...]:
    """Tasks of names long or short. Raises DataSetError for an unknown one."""
    tasks = []
    for name in names:
        task = task_named(name.removesuffix(".json"))
        if task is None:
            known = ", ".join(task.short for task in TASKS)
            raise DataSetError(f"--tasks {name}: there is no such task; there are {known}")
        tasks.append(task)
    return tuple(dict.fromkeys(tasks))


def split_videos(path: Path, part: str) -> frozenset[str]:
    """The stems of a split's videos, from a JSON file of `{"train": [names], ...}`.

    Raises DataSetError.
    """
    content = _decode(path, _read(path))
    if not isinstance(content, dict):
        raise DataSetError(f"{path}: a split is an object of lists of videos by part")
    names = content.get(part)
    if not isinstance(names, list) or not names:
        parts = printable(", ".join(content), 200) or "none"
        raise DataSetError(f"{path}: it has no videos under {part!r}; its parts: {parts}")
    return frozenset(Path(name).stem for name in names if isinstance(name, str))


class VideoIndex:
    """Where the videos of a data set lie, by file name, whatever folders they were unpacked to."""

    def __init__(self, folders: Iterable[Location]) -> None:
        """Raises RemoteError for a folder elsewhere that can't be looked into."""
        self._places: dict[str, Location] = {}
        self._overlays: set[str] = set()
        for folder in folders:
            for inside, place in _videos_in(folder):
                self._add(place, inside)

    def _add(self, place: Location, inside: PurePath) -> None:
        if any(OVERLAY in part.lower() for part in inside.parts[:-1]):
            self._overlays.add(inside.stem)
        else:
            self._places.setdefault(inside.stem, place)

    def place(self, name: str) -> Location | None:
        """The file of a video; None where there is none without an overlay."""
        return self._places.get(Path(name).stem)

    def has_overlay_only(self, name: str) -> bool:
        """Whether a video is there only with the gaze drawn into it."""
        return self.place(name) is None and Path(name).stem in self._overlays


def video_folders(root: Location, given: Sequence[Location]) -> list[Location]:
    """Where to look for videos: the folders given, else `root/videos`, else `root`.

    Raises DataSetError for a given folder that is not there, RemoteError.
    """
    for folder in given:
        if isinstance(folder, Path) and not folder.is_dir():
            raise DataSetError(f"--video-dir {folder}: there is no such folder")
    if given:
        return list(given)
    if isinstance(root, Path):
        return [root / "videos" if (root / "videos").is_dir() else root]
    names = listing.below(root, VIDEO_SUFFIXES)
    return [root.below("videos/") if any(n.startswith("videos/") for n in names) else root]


def _videos_in(folder: Location) -> Iterator[tuple[PurePath, Location]]:
    """The videos in a folder: where they lie in it, and where that is."""
    if isinstance(folder, Url):
        for name, url in listing.below(folder, VIDEO_SUFFIXES).items():
            yield PurePosixPath(name), url
        return
    # Videos are large: their folders are often links to another disk.
    walk = os.walk(folder, followlinks=True)
    for path in sorted(Path(place) / name for place, _, files in walk for name in files):
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            yield path.relative_to(folder), path


def _task_path(root: Path, task: Task) -> Path | None:
    places = (root / "qa" / f"{task.name}.json", root / f"{task.name}.json")
    return next((path for path in places if path.is_file()), None)


def _read_task(task: Task, path: Path, selection: Selection) -> TaskFile:
    data = _read(path)
    questions = _bounded(path, read_entries(task, decode_task(path, data)))
    return TaskFile(task, hashlib.sha256(data).hexdigest(), selection.of(questions))


def _bounded(path: Path, questions: Iterable[EvaluationQuestion]) -> Iterator[EvaluationQuestion]:
    for number, question in enumerate(questions):
        if number == MOST_QUESTIONS:
            raise DataSetError(f"{path}: it holds more than {MOST_QUESTIONS} questions: split it")
        yield question


def decode_task(path: Path, data: bytes) -> list[object]:
    """The entries in the bytes of the task file `path`. Raises DataSetError."""
    content = _decode(path, data)
    if not isinstance(content, list):
        raise DataSetError(f"{path}: a task file is a list of videos with their questions")
    return content


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise DataSetError(f"{path}: can't be read: {error.strerror}") from error
    if len(data) > LARGEST:
        raise DataSetError(f"{path}: it has more than {LARGEST} bytes: no file of questions has")
    return data


def _decode(path: Path, data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError as error:
        raise DataSetError(f"{path}: not JSON: {printable(str(error), 120)}") from error
    except RecursionError as error:
        raise DataSetError(f"{path}: not JSON that can be read: it is nested too deep") from error
