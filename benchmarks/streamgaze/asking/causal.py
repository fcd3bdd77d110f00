"""Questions of one video under the causal protocol: the live session's code on chosen frames.

A clip is watched by one session that answers every question whose clip starts there and has the
same sampling rate: it is the same stream up to each question. Sessions of one video share decoded
frames and encoded pairs of frames. Nothing of this changes an answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.streamgaze.data.footage import Footage
from benchmarks.streamgaze.data.media import BAD_VIDEO, Media
from benchmarks.streamgaze.data.questions import EvaluationQuestion, Problem
from devices.clock import NANOSECONDS
from devices.device import Delivery, DeviceCounts, StreamCounts
from devices.samples import SceneFrame
from runtime.answers.record import AnswerRecord
from runtime.answers.session import Session, SessionOptions
from runtime.errors import RuntimeFault
from runtime.model.encoder import Encoder
from runtime.model.models import Models
from runtime.stream.sampling import FRAMES_PER_STEP, sampling_rate

KEPT_PAIRS = 128  # the steps of a few overlapping clips
MOST_FRAMES = 512  # resized ones, in memory at once
REFUSED = "question refused"
NO_MEMORY = "not enough memory"
NO_COUNTS = DeviceCounts(StreamCounts(), StreamCounts())

Outcome = AnswerRecord | Problem


@dataclass(frozen=True, slots=True)
class Clip:
    """A stream of frames that questions have in common. `start` in seconds, `rate` in Hz."""

    start: float
    rate: float
    questions: tuple[EvaluationQuestion, ...]


def clips_of(questions: Sequence[EvaluationQuestion]) -> list[Clip]:
    """Questions with a window, by clip: clips in order of their start, questions of their time."""
    shared: dict[tuple[float, float], list[EvaluationQuestion]] = defaultdict(list)
    for question in questions:
        if question.window is not None:
            rate = sampling_rate(question.window.seconds)
            shared[question.window.start, -rate].append(question)
    return [
        Clip(start, -slowness, tuple(sorted(own, key=_asked_at)))
        for (start, slowness), own in sorted(shared.items())
    ]


def frames_needed(times: NDArray[np.int64], start: int, rate: float, moment: int) -> list[int]:
    """Indices of the frames that a session sees in a clip from `start` to a question at `moment`.

    Of each step and of the question: the newest frame by then, and the newest one a sampling
    interval before it. `times`: capture times of all frames; all in Unix ns.
    """
    interval = FRAMES_PER_STEP / rate * NANOSECONDS
    steps = int((moment - start) / interval) + 2
    due = [start + round(step * interval) for step in range(steps)]
    newer = _newest_by(times, [*(time for time in due if time <= moment), moment])
    older = _newest_by(times, times[newer] - round(NANOSECONDS / rate))
    return np.union1d(newer, older).tolist()


def answer_causally(
    models: Models,
    media: Media,
    questions: Sequence[EvaluationQuestion],
    use_gaze: bool,
    ask_after: float,
) -> Iterator[tuple[EvaluationQuestion, Outcome]]:
    """Ask questions that have a window; `ask_after`: seconds by which each is asked later."""
    settings = models.bundle.manifest.settings
    pixels = models.bundle.manifest.geometry.vision.token_pixels
    grid = settings.live_height, settings.live_width
    encoder = Encoder(models, grid, use_gaze, KEPT_PAIRS)
    size = grid[0] * pixels, grid[1] * pixels
    for watches in _passes([_Watch(media, clip, ask_after) for clip in clips_of(questions)]):
        footage = Footage(media.video, set().union(*(watch.frames for watch in watches)), size)
        for watch in watches:
            yield from watch.answers(models, footage, encoder, use_gaze)


def _passes(watches: Sequence[_Watch]) -> Iterator[list[_Watch]]:
    """Clips in a row whose frames are decoded in one pass and held in memory together."""
    together: list[_Watch] = []
    frames: set[int] = set()
    for watch in watches:
        if together and len(frames | watch.frames) > MOST_FRAMES:
            yield together
            together, frames = [], set()
        together.append(watch)
        frames |= watch.frames
    if together:
        yield together


class _Watch:
    """One clip, watched by one session."""

    def __init__(self, media: Media, clip: Clip, ask_after: float) -> None:
        self._media = media
        self._clip = clip
        self._start = media.moment(clip.start)
        self._moments = [media.moment(_asked_at(each) + ask_after) for each in clip.questions]
        self.needed = [
            frames_needed(media.frame_times, self._start, clip.rate, moment)
            for moment in self._moments
        ]
        self.frames = {index for needed in self.needed for index in needed}

    def answers(
        self, models: Models, footage: Footage, encoder: Encoder, use_gaze: bool
    ) -> Iterator[tuple[EvaluationQuestion, Outcome]]:
        session = None
        for question, moment, needed in zip(
            self._clip.questions, self._moments, self.needed, strict=True
        ):
            if (wrong := footage.missing(needed)) is not None:
                yield question, Problem(BAD_VIDEO, wrong)
                continue
            try:
                if session is None:
                    session = self._session(models, encoder, use_gaze)
                    self._deliver(session, footage)
                session.advance(moment)
                outcome: Outcome = session.ask(question.asked(), moment)
            except RuntimeFault as error:
                outcome, session = Problem(REFUSED, str(error)), None
            except MemoryError:
                outcome, session = Problem(NO_MEMORY, self._size()), None
            yield question, outcome

    def _size(self) -> str:
        seconds = self._clip.questions[-1].window.seconds
        return f"its clip of {seconds:.0f} s does not fit in this machine's memory"

    def _session(self, models: Models, encoder: Encoder, use_gaze: bool) -> Session:
        """Its context has room for every step up to the last question, and two more."""
        seconds = (self._moments[-1] - self._start) / NANOSECONDS
        spare = 2 * FRAMES_PER_STEP / self._clip.rate
        options = SessionOptions("file", seconds + spare, self._clip.rate, use_gaze)
        return Session(
            models,
            self._media.info(),
            options,
            counts=lambda: NO_COUNTS,
            opens_at=self._start,
            encoder=encoder,
        )

    def _deliver(self, session: Session, footage: Footage) -> None:
        """Everything at once: a session looks at nothing beyond the moment it is asked about."""
        end = self._moments[-1]
        indices = [index for index in sorted(self.frames) if footage.missing([index]) is None]
        times = self._media.frame_times[indices].tolist()
        frames = [
            SceneFrame(time, time, index, pixels)
            for time, index, pixels in zip(times, indices, footage.frames(indices), strict=True)
        ]
        samples = sorted((*self._media.fixations, *frames), key=lambda sample: sample.captured_at)
        session.receive(Delivery(tuple(samples), end, end, ended=True), end)


def _asked_at(question: EvaluationQuestion) -> float:
    assert question.window is not None
    return question.window.end


def _newest_by(times: NDArray[np.int64], moments: Sequence[int] | NDArray) -> NDArray[np.int64]:
    return np.maximum(np.searchsorted(times, moments, side="right") - 1, 0)
