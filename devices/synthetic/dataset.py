"""Writes synthetic wearers as a StreamGaze data set: videos, fixation files, questions.

Source of the layout: the StreamGaze data set (danaleee/StreamGaze). Fixations are those that its
pipeline keeps: rests of two seconds and more, each with its centre as a whole.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from devices.synthetic.asking import (
    ALERTS,
    Entry,
    asked_in,
    entries_about,
    kept_fixations,
    shares,
)
from devices.synthetic.device import FRAME_RATE, FRAME_SIDE
from devices.synthetic.eyes import GAZE_RATE
from devices.synthetic.questions import ASKERS
from devices.synthetic.table import TablePicture
from devices.synthetic.wearer import Wearer

SUFFIX = "_fixation_filtered.csv"
MOST = 30  # questions of a task about one video
QUALITY = "23"  # constant rate factor of H.264
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class DataSetPlan:
    """`videos` of `seconds` each; a wearer's seed is (seed, number of the video).

    `questions` of each task in all, where there is occasion for so many, an alert's test points
    counted; spread over the videos as evenly as they give occasion. `frame_rate`: Hz.
    """

    videos: int
    seconds: int
    seed: int
    questions: int
    frame_rate: int = FRAME_RATE

    def wearer(self, number: int) -> Wearer:
        """The wearer of a video."""
        return Wearer((self.seed, number), float(self.seconds))

    def stem(self, number: int) -> str:
        """The name of a video's file without its ending."""
        return f"synthetic_{self.seed:04d}_{number:05d}"


def write_data_set(
    plan: DataSetPlan, folder: Path, progress: Progress | None = None
) -> Counter[str]:
    """Write videos/original_video/*.mp4, fixations/*.csv and qa/<task>.json.

    `progress(done, total)` hears of videos written. Returns how many questions there are by task.
    """
    videos, tables = folder / "videos" / "original_video", folder / "fixations"
    for place in (videos, tables, folder / "qa"):
        place.mkdir(parents=True, exist_ok=True)
    counts = write_questions(plan, folder / "qa")
    for number in range(plan.videos):
        wearer, stem = plan.wearer(number), plan.stem(number)
        write_video(wearer, float(plan.seconds), plan.frame_rate, videos / f"{stem}.mp4")
        write_fixations(wearer, float(plan.seconds), tables / f"{stem}{SUFFIX}")
        if progress:
            progress(number + 1, plan.videos)
    return counts


def write_questions(plan: DataSetPlan, folder: Path) -> Counter[str]:
    """Write <task>.json; returns how many questions there are by task."""
    most = dict.fromkeys(ASKERS, MOST)
    available = [
        _count(entries_about(plan.wearer(number), plan.seconds, most, (plan.seed, number)))
        for number in range(plan.videos)
    ]
    shared = {task: _shares([each[task] for each in available], plan, task) for task in ASKERS}
    entries: dict[str, list[Entry]] = {task: [] for task in ASKERS}
    for number in range(plan.videos):
        wanted = {task: shared[task][number] for task in ASKERS}
        wearer, seed = plan.wearer(number), (plan.seed, number)
        for task, entry in entries_about(wearer, plan.seconds, wanted, seed):
            entries[task].append({"video_path": f"{plan.stem(number)}.mp4", **entry})
    for task, asked in entries.items():
        text = json.dumps(asked, indent=1) + "\n"
        (folder / f"{task}.json").write_text(text, encoding="utf-8")
    return _count((task, entry) for task, asked in entries.items() for entry in asked)


def _shares(available: Sequence[int], plan: DataSetPlan, task: str) -> list[int]:
    """Of each video; test points of alerts come in pairs."""
    unit = 2 if task in ALERTS else 1
    return [unit * each for each in shares([n // unit for n in available], plan.questions // unit)]


def _count(entries: Iterable[tuple[str, Entry]]) -> Counter[str]:
    counts: Counter[str] = Counter(dict.fromkeys(ASKERS, 0))
    for task, entry in entries:
        counts[task] += asked_in(entry)
    return counts


def write_video(wearer: Wearer, seconds: float, rate: int, path: Path) -> None:
    """The head camera's frames as H.264, `rate` a second."""
    table = TablePicture(wearer.scene, FRAME_SIDE)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width = stream.height = FRAME_SIDE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": QUALITY, "preset": "veryfast"}
        for index in range(round(seconds * rate)):
            moment = index / rate
            pose = wearer.head.pose(moment)
            pixels = table.frame(pose, moment, index, FRAME_SIDE, FRAME_SIDE)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def write_fixations(wearer: Wearer, seconds: float, path: Path) -> None:
    """The fixation file of a wearer."""
    track = wearer.eyes.track(seconds)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            (
                "fixation_id",
                "center_x",
                "center_y",
                "start_time_seconds",
                "end_time_seconds",
                "duration_seconds",
            )
        )
        for number, dwell in enumerate(kept_fixations(wearer, seconds)):
            span = slice(round(dwell.start * GAZE_RATE), round(dwell.end * GAZE_RATE) + 1)
            awake = track.open[span]
            centre = [float(np.clip(each[span][awake].mean(), 0, 1)) for each in (track.x, track.y)]
            lasted = dwell.end - dwell.start
            row = (*centre, dwell.start, dwell.end, lasted)
            writer.writerow((number, *(f"{value:.6f}" for value in row)))
