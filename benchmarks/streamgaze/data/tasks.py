"""The ten tasks of StreamGaze (arXiv 2512.01707) and the part of a video each is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PRESENT_SECONDS = 60.0  # what a question about the present looks back on


@dataclass(frozen=True, slots=True)
class Task:
    """`name`: its file without the ending. `short`: as tables of results call it."""

    name: str
    short: str
    kind: Literal["past", "present", "proactive"]


TASKS = (
    Task("past_non_fixated_object_identification", "NFI", "past"),
    Task("past_object_transition_prediction", "OTP", "past"),
    Task("past_scene_recall", "SR", "past"),
    Task("past_gaze_sequence_matching", "GSM", "past"),
    Task("present_object_identification_easy", "OI-E", "present"),
    Task("present_object_identification_hard", "OI-H", "present"),
    Task("present_object_attribute_recognition", "OAR", "present"),
    Task("present_future_action_prediction", "FAP", "present"),
    Task("proactive_gaze_triggered_alert", "GTA", "proactive"),
    Task("proactive_object_appearance_alert", "OAA", "proactive"),
)


def task_named(name: str) -> Task | None:
    """The task of a name, long or short; None for neither."""
    return next((task for task in TASKS if name in (task.name, task.short)), None)


@dataclass(frozen=True, slots=True)
class Window:
    """The clip that a question is about, in seconds of the video. It is asked at the end."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start


def window(task: Task, seconds: float) -> Window:
    """The clip of a question asked at `seconds`."""
    start = max(seconds - PRESENT_SECONDS, 0.0) if task.kind == "present" else 0.0
    return Window(start, seconds)
