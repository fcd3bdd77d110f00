"""Small data sets in StreamGaze's format, drawn for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drawn_recording import draw_fixations, draw_video

from benchmarks.streamgaze.asking.evaluation import evaluate
from benchmarks.streamgaze.data.dataset import Selection, VideoIndex, read_tasks
from benchmarks.streamgaze.data.media import Library

RATE = 4
SIZE = (160, 120)


@dataclass(frozen=True)
class DrawnSet:
    """A data set and where its fixation files lie."""

    root: Path
    fixations: Path

    def options(self, *more: object) -> list[str]:
        """As the command line wants it; one thread, whatever else the machine is doing."""
        own = ["--data", self.root, "--fixation-dir", self.fixations, "--threads", 1]
        return [str(each) for each in (*own, *more)]


def clock(seconds: int) -> str:
    """MM:SS."""
    return f"{seconds // 60:02d}:{seconds % 60:02d}"


def choice(seconds: int, answer: str = "B", text: str = "What is looked at?") -> dict:
    """A multiple-choice question."""
    options = ["A. cup", "B. knife", "C. jar", "D. box"]
    return {"question": text, "time_stamp": clock(seconds), "answer": answer, "options": options}


def alert(
    points: Iterable[tuple[int, int]], text: str = "Alert me when I gaze on the cup."
) -> dict:
    """A proactive question with test points of (second, type)."""
    info = [{"realtime": clock(second), "type": kind} for second, kind in points]
    return {
        "question": text,
        "time_stamp": "00:01",
        "first_appearance": "00:04",
        "target_object": "cup",
        "test_info": info,
    }


def draw_set(
    root: Path,
    videos: Mapping[str, int],
    tasks: Mapping[str, Sequence[tuple[str, Sequence[dict]]]],
    fixations: Mapping[str, Sequence[tuple[float, float, float, float]]] | None = None,
) -> DrawnSet:
    """`videos`: seconds by stem; `tasks`: (stem, questions) by task; `fixations`: rows by stem."""
    folder = root / "videos" / "original_video"
    folder.mkdir(parents=True)
    for stem, seconds in videos.items():
        draw_video(folder / f"{stem}.mp4", seconds * RATE + 1, RATE, key_every=40, size=SIZE)
        rows = (fixations or {}).get(stem) or steady_fixations(seconds)
        draw_fixations(root / "gaze" / f"{stem}_fixation_filtered.csv", rows)
    for task, entries in tasks.items():
        write_task(root, task, [entry(f"{stem}.mp4", own) for stem, own in entries])
    return DrawnSet(root, root / "gaze")


def entry(video: str, questions: Sequence[dict]) -> dict:
    """One entry of a task file."""
    return {"video_path": video, "response_time": "[00:00 - 01:00]", "questions": list(questions)}


def write_task(root: Path, task: str, content: object) -> None:
    """A task file."""
    (root / "qa").mkdir(parents=True, exist_ok=True)
    (root / "qa" / f"{task}.json").write_text(json.dumps(content))


def steady_fixations(seconds: int) -> list[tuple[float, float, float, float]]:
    """One fixation of 2.5 s every 3 s, going round the frame: (x, y, start, end)."""
    return [
        (0.1 + 0.17 * (n % 5), 0.9 - 0.19 * (n % 4), 3.0 * n + 0.25, 3.0 * n + 2.75)
        for n in range(max(1, seconds // 3))
    ]


def mixed_set(root: Path) -> DrawnSet:
    """Three videos; questions about past and present, and alerts; windows that overlap."""
    present = "present_object_identification_easy"
    return draw_set(
        root,
        {"first": 72, "second": 24, "third": 9},
        {
            "past_scene_recall": [
                ("first", [choice(20), choice(44, "C"), choice(68), choice(70, "A")]),
                ("third", [choice(8, "D")]),
            ],
            present: [
                ("first", [choice(s, "ABCD"[s % 4]) for s in (10, 62, 66, 66, 67, 70)]),
                ("second", [choice(s) for s in (5, 9, 13, 24)]),
            ],
            "proactive_gaze_triggered_alert": [
                ("second", [alert([(4, 0), (12, 1), (20, 1)]), alert([(12, 0)], "Warn of a jar.")]),
            ],
        },
    )


def library(drawn, gaze="yes"):
    """The videos of a drawn set and their gaze."""
    return Library(VideoIndex([drawn.root / "videos"]), [drawn.fixations], gaze)


def results(models, drawn, way, gaze="yes"):
    """What a model answers to every question of a drawn set."""
    files = read_tasks(drawn.root, Selection())
    return list(evaluate(models, library(drawn, gaze), files, way))
