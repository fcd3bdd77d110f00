"""Questions of one video under the released protocol, each clip sampled as the release does.

Questions about the same clip share its encoding; clips in a row share one pass of decoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from benchmarks.streamgaze.asking.causal import NO_COUNTS, NO_MEMORY, REFUSED, Outcome
from benchmarks.streamgaze.data.footage import Footage
from benchmarks.streamgaze.data.media import BAD_VIDEO, Media
from benchmarks.streamgaze.data.questions import EvaluationQuestion, Problem
from devices.clock import NANOSECONDS
from devices.device import Delivery, DeviceError
from runtime.answers.session import SessionOptions
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.run.released import ReleasedSession
from runtime.stream.released_clip import released_clip, released_resized
from runtime.stream.sampling import released_grid, sampling_rate

EMPTY_ALERT = 1.0  # seconds
CLIPS_AT_ONCE = 16  # in one pass of decoding: 8 frames of each in memory


@dataclass(frozen=True, slots=True)
class _Clip:
    """Questions about one window; `start` and `end` in Unix ns."""

    start: int
    end: int
    seconds: float
    questions: tuple[EvaluationQuestion, ...]


def answer_as_released(
    models: Models, media: Media, questions: Sequence[EvaluationQuestion], use_gaze: bool
) -> Iterator[tuple[EvaluationQuestion, Outcome]]:
    """Ask questions that have a window."""
    clips = _clips(media, questions)
    for first in range(0, len(clips), CLIPS_AT_ONCE):
        some = clips[first : first + CLIPS_AT_ONCE]
        footage = _footage(models, media, some)
        for clip in some:
            yield from _answers(models, media, footage, clip, use_gaze)


def _clips(media: Media, questions: Sequence[EvaluationQuestion]) -> list[_Clip]:
    return [
        _clip(media, start, end, own)
        for (end, start), own in groupby(sorted(questions, key=_window), key=_window)
    ]


def _window(question: EvaluationQuestion) -> tuple[float, float]:
    """End and start of a question's clip; an alert's that would be empty lasts a second."""
    assert question.window is not None
    start, end = question.window.start, question.window.end
    return (start + EMPTY_ALERT if question.is_alert and end <= start else end), start


def _clip(media: Media, start: float, end: float, questions: Iterable[EvaluationQuestion]) -> _Clip:
    """`start` as the session counts it, back from the end."""
    ends_at, seconds = media.moment(end), end - start
    begins_at = max(media.moment(0.0), ends_at - round(seconds * NANOSECONDS))
    return _Clip(begins_at, ends_at, seconds, tuple(questions))


def _footage(models: Models, media: Media, clips: Sequence[_Clip]) -> Footage:
    indices: set[int] = set()
    for clip in clips:
        with suppress(RuntimeFault):  # told when its questions are asked
            sampled = released_clip(media.frame_times, (), clip.start, clip.end)
            indices.update(sampled.indices.tolist())
    pixels = models.bundle.manifest.geometry.vision.token_pixels
    rows, columns = released_grid(media.video.width, media.video.height, pixels)
    return Footage(media.video, indices, (rows * pixels, columns * pixels), released_resized)


def _answers(
    models: Models, media: Media, footage: Footage, clip: _Clip, use_gaze: bool
) -> Iterator[tuple[EvaluationQuestion, Outcome]]:
    options = SessionOptions("file", clip.seconds, sampling_rate(clip.seconds), use_gaze)
    session = ReleasedSession(
        models, media.frame_times, footage.frames, media.info(), options, lambda: NO_COUNTS
    )
    session.receive(Delivery(media.fixations, clip.end, clip.end, ended=True))
    session.advance(clip.end)
    for question in clip.questions:
        try:
            yield question, session.ask(question.asked(), clip.end)
        except DeviceError as error:
            yield question, Problem(BAD_VIDEO, str(error))
        except RuntimeFault as error:
            yield question, Problem(REFUSED, str(error))
        except MemoryError:
            yield question, Problem(NO_MEMORY, "its frames do not fit in this machine's memory")
