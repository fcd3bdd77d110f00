"""BIDS 1.11: gaze as a physiological recording, fixations and what they are on as its events."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

from runtime.coding.outputs.tables import number, write
from runtime.coding.results import CodedFixation, Coding
from runtime.recordings.quality import usual_rate

VERSION = "1.11.1"
TASK, EYE = "gaze", "cyclopean"
NONE = "n/a"
EVENT_COLUMNS = (
    *("onset", "duration", "trial_type", "message", "fixation_id", "x_coordinate"),
    *("y_coordinate", "thing", "confidence", "unsure", "corrected"),
)
README = """Gaze, and what each fixation was on, as coded by GazeQwen Edge.

The codes stand in the columns thing, confidence, unsure and corrected of the physioevents files.
"""


def write_bids(codings: Sequence[Coding], folder: Path) -> None:
    """Write a data set; each recording is a subject of its own."""
    description = {
        "Name": "Coded gaze",
        "BIDSVersion": VERSION,
        "DatasetType": "raw",
        "Authors": ["unknown"],
    }
    write(folder / "dataset_description.json", _json(description))
    write(folder / "README", README)
    subjects = subject_labels(codings)
    lines = "".join(f"sub-{label}\n" for label in subjects)
    write(folder / "participants.tsv", f"participant_id\n{lines}")
    for label, coding in zip(subjects, codings, strict=True):
        _write_recording(coding, folder / f"sub-{label}" / "beh", label)


def subject_labels(codings: Sequence[Coding]) -> list[str]:
    """Letters and digits of each recording's name, numbered where two are alike."""
    labels: list[str] = []
    for place, coding in enumerate(codings, start=1):
        label = re.sub(r"[^A-Za-z0-9]", "", coding.source.name) or f"{place:02d}"
        labels.append(label if label not in labels else f"{label}x{place:02d}")
    return labels


def _write_recording(coding: Coding, folder: Path, label: str) -> None:
    stem = f"sub-{label}_task-{TASK}_recording-{EYE}"
    read = coding.source.read
    write(folder / f"{stem}_physio.tsv.gz", _packed(_gaze(coding)))
    write(folder / f"{stem}_physio.json", _json(_gaze_sidecar(coding)))
    write(folder / f"{stem}_physioevents.tsv.gz", _packed(_events(coding)))
    write(folder / f"{stem}_physioevents.json", _json(_events_sidecar(coding)))
    events = f"onset\tduration\ttrial_type\n0\t{number((read.end - read.start) / 1e9)}\trecording\n"
    write(folder / f"sub-{label}_task-{TASK}_events.tsv", events)


def _gaze(coding: Coding) -> str:
    """Samples without a header: timestamp, x, y in pixels of the scene; no gaze is n/a."""
    gaze, video = coding.source.read.gaze, coding.source.read.video
    text = io.StringIO()
    places = zip(gaze.times.tolist(), gaze.x * video.width, gaze.y * video.height, strict=True)
    for (time, x, y), worn in zip(places, gaze.worn, strict=True):
        place = f"{x:.3f}\t{y:.3f}" if worn else f"{NONE}\t{NONE}"
        text.write(f"{time}\t{place}\n")
    return text.getvalue()


def _gaze_sidecar(coding: Coding) -> dict[str, object]:
    read = coding.source.read
    start = int(read.gaze.times[0]) if read.gaze.times.size else read.start
    return {
        "SamplingFrequency": round(usual_rate(read.gaze.times) or 1.0, 3),
        "StartTime": round((start - read.start) / 1e9, 9),
        "Columns": ["timestamp", "x_coordinate", "y_coordinate"],
        "PhysioType": "eyetrack",
        "RecordedEye": EYE,
        "SampleCoordinateSystem": "gaze-in-world",
        "Manufacturer": NONE,
        "timestamp": {"Description": "Time of capture, Unix time", "Units": "ns"},
        "x_coordinate": {
            "LongName": "Gaze, x",
            "Description": f"From the left of a frame {read.video.width} pixels wide",
            "Units": "pixel",
        },
        "y_coordinate": {
            "LongName": "Gaze, y",
            "Description": f"From the top of a frame {read.video.height} pixels high",
            "Units": "pixel",
        },
    }


def _events(coding: Coding) -> str:
    rows = (_event(each, coding) for each in coding.fixations)
    return "".join("\t".join(row) + "\n" for row in rows)


def _event(each: CodedFixation, coding: Coding) -> list[str]:
    """Onsets are on the clock of the samples' timestamps, as the sidecar says."""
    video, code = coding.source.read.video, each.code
    return [
        str(each.row.started_at),
        f"{(each.row.ended_at - each.row.started_at) / 1e9:.9f}",
        "fixation",
        NONE,
        _cell(each.row.name),
        f"{each.row.x * video.width:.3f}",
        f"{each.row.y * video.height:.3f}",
        _cell("; ".join(each.things) or each.thing),
        NONE if code.confidence is None else f"{code.confidence:.4f}",
        str(each.is_unsure).lower(),
        str(each.is_corrected).lower(),
    ]


def _events_sidecar(coding: Coding) -> dict[str, object]:
    names = coding.things or ("any",)
    return {
        "Columns": list(EVENT_COLUMNS),
        "OnsetSource": "timestamp",
        "Description": "Fixations, and what each is on",
        "fixation_id": {"Description": "As in the maker's table of fixations"},
        "x_coordinate": {"Description": "Centre of the fixation", "Units": "pixel"},
        "y_coordinate": {"Description": "Centre of the fixation", "Units": "pixel"},
        "thing": {
            "Description": "What the fixation is on; several with a semicolon between them. "
            f"Named: {'; '.join(names)}"
        },
        "confidence": {"Description": "Probability of the first name, 0 to 1"},
        "unsure": {"Description": f"true: the confidence is below {coding.threshold:g}"},
        "corrected": {"Description": "true: a person decided"},
    }


def _cell(text: str) -> str:
    return " ".join(text.split()) or NONE


def _packed(text: str) -> bytes:
    """The same bytes for the same text: without the time of packing."""
    return gzip.compress(text.encode("utf-8"), mtime=0)


def _json(content: dict[str, object]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
