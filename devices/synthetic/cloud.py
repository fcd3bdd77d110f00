"""A recording of a synthetic wearer in the form of a Pupil Cloud export, with what is true of it.

Its fixations are those that her eyes make: gaze between saccades, small ones included.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devices.clock import NANOSECONDS
from devices.synthetic.dataset import FRAME_SIDE, write_video
from devices.synthetic.eyes import GAZE_RATE, NO_SEGMENT, GazeTrack
from devices.synthetic.wearer import Wearer

RATE = 30  # frames per second
START = 1_700_000_000 * NANOSECONDS
LEAST = 0.06  # seconds of a fixation
TICK = NANOSECONDS // GAZE_RATE
IDS = ("section", "recording")
ID_NAMES = ("section id", "recording id")


@dataclass(frozen=True, slots=True)
class DrawnWearer:
    """`things`: all that lie on her table. `truth`: for each fixation in the order of the table,
    the name of what it was on; None for the bare table."""

    folder: Path
    things: tuple[str, ...]
    truth: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class _Fixation:
    start: int
    end: int
    x: float
    y: float
    thing: str | None


def draw_wearer(
    folder: Path, seed: int, seconds: float, shuffled: bool = False, rate: int = RATE
) -> DrawnWearer:
    """Draw a new folder. `shuffled`: every fixation in the place of another one; `rate`: frames per
    second.

    The same seed draws the same, but for how a video encoder rounds.
    """
    wearer = Wearer(seed, seconds)
    folder.mkdir(parents=True)
    write_video(wearer, seconds, rate, folder / "scene.mp4")
    frames = range(int(seconds * rate))
    times = [(*IDS, START + -(-index * NANOSECONDS // rate)) for index in frames]
    _write(folder / "world_timestamps.csv", (*ID_NAMES, "timestamp [ns]"), times)
    track = wearer.eyes.track(seconds)
    _write_gaze(folder / "gaze.csv", track, int(seconds * GAZE_RATE))
    fixations = _fixations(wearer, track, seconds)
    places = [(each.x, each.y) for each in fixations]
    if shuffled:
        order = np.random.default_rng(seed).permutation(len(places))
        places = [places[place] for place in order]
    _write_fixations(folder / "fixations.csv", fixations, places)
    (folder / "info.json").write_text(json.dumps({"recording_id": IDS[1]}), encoding="utf-8")
    things = tuple(thing.name for thing in wearer.scene.things)
    return DrawnWearer(folder, things, tuple(each.thing for each in fixations))


def _fixations(wearer: Wearer, track: GazeTrack, seconds: float) -> list[_Fixation]:
    numbers = track.fixation[: int(seconds * GAZE_RATE)]
    found = []
    for number in np.unique(numbers[numbers != NO_SEGMENT]):
        ticks = np.flatnonzero(numbers == number)
        if (ticks.size - 1) / GAZE_RATE < LEAST:
            continue
        dwell = wearer.eyes.dwell_at(float(ticks[ticks.size // 2]) / GAZE_RATE)
        thing = None if dwell is None or dwell.thing is None else dwell.thing
        name = None if thing is None else wearer.scene.things[thing].name
        x, y = float(track.x[ticks].mean()), float(track.y[ticks].mean())
        found.append(_Fixation(int(ticks[0]), int(ticks[-1]), x, y, name))
    return sorted(found, key=lambda each: each.start)


def _write_gaze(path: Path, track: GazeTrack, count: int) -> None:
    rows = (
        (
            *(*IDS, START + tick * TICK),
            *(f"{track.x[tick] * FRAME_SIDE:.3f}", f"{track.y[tick] * FRAME_SIDE:.3f}"),
            int(track.open[tick]),
        )
        for tick in range(count)
    )
    header = (*ID_NAMES, "timestamp [ns]", "gaze x [px]", "gaze y [px]", "worn")
    _write(path, header, rows)


def _write_fixations(
    path: Path, fixations: Sequence[_Fixation], places: Sequence[tuple[float, float]]
) -> None:
    rows = (
        (
            *(*IDS, number, START + each.start * TICK, START + each.end * TICK),
            *(
                (each.end - each.start) * TICK // 1_000_000,
                f"{x * FRAME_SIDE:.3f}",
                f"{y * FRAME_SIDE:.3f}",
            ),
        )
        for number, (each, (x, y)) in enumerate(zip(fixations, places, strict=True), start=1)
    )
    span = ("start timestamp [ns]", "end timestamp [ns]", "duration [ms]")
    header = (*ID_NAMES, "fixation id", *span, "fixation x [px]", "fixation y [px]")
    _write(path, header, rows)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
