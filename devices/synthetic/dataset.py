"""Writes synthetic wearers as a StreamGaze data set: videos, fixation files, questions.

Source of the layout: the StreamGaze data set (danaleee/StreamGaze). Fixations are those that its
pipeline keeps: rests of two seconds and more, each with its centre as a whole.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from devices.synthetic.device import FRAME_RATE, FRAME_SIDE
from devices.synthetic.eyes import GAZE_RATE, Dwell
from devices.synthetic.questions import ASKERS, GTA, OAA, TaskQuestion, presence_alert
from devices.synthetic.table import TablePicture
from devices.synthetic.wearer import Moment, Wearer

SUFFIX = "_fixation_filtered.csv"
LEAST = 2.0  # seconds that a fixation lasts in StreamGaze's files
SETTLED = 0.3  # seconds that a fixation has lasted when a question is asked, and goes on after it
QUALITY = "23"  # constant rate factor of H.264
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class DataSetPlan:
    """`videos` of `seconds` each; a wearer's seed is (seed, number of the video)."""

    videos: int
    seconds: int
    seed: int
    questions_per_task: int = 3


def write_data_set(plan: DataSetPlan, folder: Path, progress: Progress | None = None) -> None:
    """Write videos/original_video/*.mp4, fixations/*.csv and qa/<task>.json.

    `progress(done, total)` hears of videos written.
    """
    videos, tables = folder / "videos" / "original_video", folder / "fixations"
    for place in (videos, tables, folder / "qa"):
        place.mkdir(parents=True, exist_ok=True)
    entries: dict[str, list[dict[str, object]]] = {task: [] for task in ASKERS}
    for number in range(plan.videos):
        stem = f"synthetic_{plan.seed:04d}_{number:05d}"
        wearer = Wearer((plan.seed, number), float(plan.seconds))
        write_video(wearer, float(plan.seconds), videos / f"{stem}.mp4")
        write_fixations(wearer, float(plan.seconds), tables / f"{stem}{SUFFIX}")
        for task, asked in questions_about(wearer, plan, number):
            entries[task].append({"video_path": f"{stem}.mp4", **asked})
        if progress:
            progress(number + 1, plan.videos)
    for task, asked in entries.items():
        text = json.dumps(asked, indent=1) + "\n"
        (folder / "qa" / f"{task}.json").write_text(text, encoding="utf-8")


def write_video(wearer: Wearer, seconds: float, path: Path) -> None:
    """The head camera's frames as H.264."""
    table = TablePicture(wearer.scene, FRAME_SIDE)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE)
        stream.width = stream.height = FRAME_SIDE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": QUALITY, "preset": "veryfast"}
        for index in range(round(seconds * FRAME_RATE)):
            moment = index / FRAME_RATE
            pose = wearer.head.pose(moment)
            pixels = table.frame(pose, moment, index, FRAME_SIDE, FRAME_SIDE)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def kept_fixations(wearer: Wearer, seconds: float) -> list[Dwell]:
    """The dwells that are whole and long enough to be in a fixation file, the bare table's too."""
    dwells = wearer.dwells(0.0, seconds)
    return [each for each in dwells if each.end <= seconds and each.end - each.start >= LEAST]


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


def questions_about(
    wearer: Wearer, plan: DataSetPlan, number: int
) -> Iterator[tuple[str, dict[str, object]]]:
    """A task and an entry of its file, as often as the wearer gives an occasion."""
    moments = list(_moments(wearer, plan.seconds))
    for order, (task, ask) in enumerate(ASKERS.items()):
        random = np.random.default_rng((plan.seed, number, order))
        if task in (GTA, OAA):
            yield from _proactive(random, task, wearer, moments, plan)
            continue
        asked = 0
        for place in random.permutation(len(moments)):
            question = ask(random, moments[place])
            if question is not None:
                yield task, _entry(moments[place], question)
                asked += 1
            if asked == plan.questions_per_task:
                break


def _moments(wearer: Wearer, seconds: int) -> Iterator[Moment]:
    """The truth at whole seconds (time stamps are whole) at which a kept fixation lasts a while."""
    kept = kept_fixations(wearer, seconds)
    for second in range(1, seconds):
        if any(each.start + SETTLED <= second <= each.end - SETTLED for each in kept):
            yield wearer.moment(float(second))


def _entry(moment: Moment, question: TaskQuestion) -> dict[str, object]:
    stamp = _stamp(moment)
    options = [
        f"{letter}. {option}" for letter, option in zip("ABCD", question.options, strict=True)
    ]
    asked = {
        "question": question.text,
        "time_stamp": stamp,
        "answer": question.answer,
        "options": options,
        "task_type": question.task,
    }
    return {"response_time": stamp, "questions": [asked]}


def _proactive(
    random: np.random.Generator,
    task: str,
    wearer: Wearer,
    moments: list[Moment],
    plan: DataSetPlan,
) -> Iterator[tuple[str, dict[str, object]]]:
    """Alerts with as many test points of type 1 (it should be triggered) as of type 0."""
    for thing in random.permutation(len(wearer.scene.things)):
        name = wearer.scene.things[thing].name
        hits = [each for each in moments if _triggered(task, each, int(thing))]
        misses = [each for each in moments if not _triggered(task, each, int(thing))]
        count = min(len(hits), len(misses), plan.questions_per_task)
        if not count:
            continue
        chosen = [
            (moments_of_kind[place], kind)
            for kind, moments_of_kind in ((1, hits), (0, misses))
            for place in random.permutation(len(moments_of_kind))[:count]
        ]
        chosen.sort(key=lambda each: each[0].seconds)
        asked = {
            "question": presence_alert(random, task, name),
            "time_stamp": _stamp(chosen[0][0]),
            "first_appearance": _stamp(hits[0]),
            "target_object": name,
            "test_info": [{"realtime": _stamp(each), "type": kind} for each, kind in chosen],
        }
        yield task, {"response_time": _stamp(chosen[0][0]), "questions": [asked]}


def _triggered(task: str, moment: Moment, thing: int) -> bool:
    return moment.gaze == thing if task == GTA else thing in moment.present


def _stamp(moment: Moment) -> str:
    whole = round(moment.seconds)
    return f"{whole // 60:02d}:{whole % 60:02d}"
