"""A video of the data set with its fixations, opened for a way of using gaze."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.streamgaze.data.dataset import VideoIndex
from benchmarks.streamgaze.data.questions import EvaluationQuestion, Problem
from devices.clock import NANOSECONDS
from devices.device import DeviceError, DeviceInfo
from devices.recording.streamgaze import (
    find_fixations,
    fixations_shown,
    frame_times,
    read_fixations,
)
from devices.recording.video import VideoTrack, track
from devices.samples import Fixation
from runtime.remote.copies import LocalCopies
from runtime.remote.urls import Location, Url

GazeUse = Literal["yes", "none", "shuffled"]

MISSING_VIDEO = "missing video"
BAD_VIDEO = "unusable video"
MISSING_FIXATIONS = "missing fixation file"
BAD_FIXATIONS = "unusable fixation file"
TOO_LATE = "time after the end of the video"
ROUNDING = 1.0  # seconds by which a time stamp may lie beyond the last frame


class Unusable(Exception):
    """A video can't be used, and why."""

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__(reason)
        self.problem = Problem(cause, reason)


@dataclass(frozen=True, slots=True, eq=False)
class Media:
    """An opened video. Frame times are Unix ns; fixations are those that the model is told."""

    video: VideoTrack
    frame_times: NDArray[np.int64]
    fixations: tuple[Fixation, ...]

    def moment(self, seconds: float) -> int:
        """Unix ns of a second of the video."""
        return int(self.frame_times[0]) + round(seconds * NANOSECONDS)

    @property
    def seconds(self) -> float:
        """When the last frame was taken, in seconds of the video."""
        return int(self.frame_times[-1] - self.frame_times[0]) / NANOSECONDS

    def info(self) -> DeviceInfo:
        """The video as a device."""
        return DeviceInfo(
            name=self.video.files[0].path.name,
            frame_width=self.video.width,
            frame_height=self.video.height,
            frame_rate=None,
            gaze_rate=None,
            starts_at=int(self.frame_times[0]),
            ends_at=int(self.frame_times[-1]),
            gaze_from="fixation file",
        )

    def problem_of(self, question: EvaluationQuestion) -> Problem | None:
        """Why a question can't be asked about this video."""
        if question.window is None or question.window.end <= self.seconds + ROUNDING:
            return None
        return Problem(
            TOO_LATE,
            f"it is asked at {question.key.time}, after the video's {self.seconds:.2f} s",
        )


class Library:
    """Opens the videos of a data set.

    `fixation_folders`: where fixation files are looked for, after them the video's own folder.
    `copies`: of videos that lie elsewhere; each stays until the next one is opened.
    """

    def __init__(
        self,
        videos: VideoIndex,
        fixation_folders: Sequence[Path],
        gaze: GazeUse = "yes",
        copies: LocalCopies | None = None,
    ) -> None:
        self._videos = videos
        self._copies = copies
        self._folders = tuple(fixation_folders)
        self._gaze = gaze

    def open(self, name: str) -> Media:
        """The video of a name. Raises Unusable, and RemoteError for one that can't be copied."""
        media, problems = self.examine(name)
        if media is None:
            raise Unusable(problems[0].cause, problems[0].reason)
        return media

    def examine(self, name: str) -> tuple[Media | None, tuple[Problem, ...]]:
        """The video of a name, or everything that is wrong with it and with its fixation file."""
        path = self._here(self._videos.place(name))
        video, fixations, problems = None, (), []
        try:
            video = self._video(name, path)
        except Unusable as error:
            problems.append(error.problem)
        times = None if video is None else frame_times(video.files[0])
        try:
            fixations = self._fixations(name, path, times)
        except Unusable as error:
            problems.append(error.problem)
        if problems:
            return None, tuple(problems)
        return Media(video, times, fixations), ()

    def _here(self, place: Location | None) -> Path | None:
        if not isinstance(place, Url):
            return place
        assert self._copies is not None, "what lies elsewhere is copied"
        self._copies.let_go()
        return self._copies.path(place)

    def _video(self, name: str, path: Path | None) -> VideoTrack:
        if path is None:
            overlay = self._videos.has_overlay_only(name)
            found = "only one with the gaze drawn in" if overlay else "no such video"
            raise Unusable(MISSING_VIDEO, f"{name}: there is {found} under the video folders")
        try:
            return track([path])
        except DeviceError as error:
            raise Unusable(BAD_VIDEO, str(error)) from error
        except OSError as error:
            raise Unusable(BAD_VIDEO, f"{path}: can't be read: {error.strerror}") from error

    def _fixations(
        self, name: str, path: Path | None, times: NDArray[np.int64] | None
    ) -> tuple[Fixation, ...]:
        """What the model is told of a video's fixations.

        No `path` of a video that is not there, no frame `times` of one that can't be opened.
        """
        if self._gaze == "none":
            return ()
        video, beside = path or Path(name), [path.parent] if path else []
        try:
            file = find_fixations(video, [*self._folders, *beside])
        except (DeviceError, OSError) as error:  # OSError: a name that can be no file's
            raise Unusable(MISSING_FIXATIONS, str(error)) from error
        try:
            known = read_fixations(file)
            if times is not None:
                known = fixations_shown(known, file, video, int(times[-1]))
        except DeviceError as error:
            raise Unusable(BAD_FIXATIONS, str(error)) from error
        return shuffled(known, video.stem) if self._gaze == "shuffled" else known


def shuffled(fixations: Sequence[Fixation], name: str) -> tuple[Fixation, ...]:
    """The same fixations at the same times, each in the place of another one of the video.

    Which one depends on the video's `name` alone. A single fixation moves to the opposite place.
    """
    if len(fixations) < 2:
        return tuple(replace(only, x=1.0 - only.x, y=1.0 - only.y) for only in fixations)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    order = np.random.default_rng(seed).permutation(len(fixations))
    # Along one cycle through all of them, so that none keeps its own place.
    taken = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    return tuple(
        replace(fixation, x=fixations[taken[index]].x, y=fixations[taken[index]].y)
        for index, fixation in enumerate(fixations)
    )
