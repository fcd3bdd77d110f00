"""A recording as a device: everything is delivered when its time has come on the device's clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS, Clock, SimulatedClock, SystemClock
from devices.device import (
    Delivery,
    Device,
    DeviceCounts,
    DeviceError,
    DeviceInfo,
    StreamCounts,
)
from devices.optics.fields import field_of_glasses
from devices.recording.description import RecordingDescription
from devices.recording.formats import describe
from devices.recording.sound import SoundCursor, SoundFile, sound_files
from devices.recording.video import VideoCursor
from devices.samples import GazeSample, Sample, SceneFrame

MOST_FRAMES = 64  # in one delivery: about 370 MB of Neon's frames
LATE, UNDECODABLE = "late", "undecodable"
BLINK, FIXATION, GAZE, FRAME = range(4)  # what is captured at one time comes in this order


class RecordingDevice(Device):
    """Plays a recording in the time it was made, in any of the formats that `describe` knows.

    A poll delivers all that was captured up to then, but at most the newest MOST_FRAMES frames:
    those older are dropped as late. Where the video stops decoding, playback ends with a notice.
    """

    def __init__(
        self,
        path: Path,
        fast: bool = False,
        fixations: Path | Sequence[Path] | None = None,
        clock_factory: Callable[[int], Clock] | None = None,
        name: str | None = None,
        strict: bool = False,
        sound: bool = False,
    ) -> None:
        """`fast`: on a simulated clock, as fast as its user goes.

        `fixations`: a file, or folders to look in, for a video without gaze of its own.
        `clock_factory`: makes the clock that starts at a moment (Unix ns), in place of those two.
        `name`: which recording, where the path holds many. `strict`: refuse one that can't be read
        as a whole, in place of reading what is there. `sound`: deliver the video's
        sound track, too.
        """
        super().__init__()
        self._path = path
        self._fixations = fixations
        self._name = name
        self._strict = strict
        self._wants_sound = sound
        self._new_clock = clock_factory or (SimulatedClock if fast else SystemClock)
        self._description: RecordingDescription | None = None
        self._playback: _Playback | None = None

    @property
    def description(self) -> RecordingDescription:
        """What is being played; DeviceError unless connected."""
        if self._description is None:
            raise DeviceError("the recording is not open: connect first")
        return self._description

    def connect(self) -> DeviceInfo:
        """Read the recording and start the clock at its first frame. Raises DeviceError."""
        self.disconnect()
        recording = describe(self._path, self._fixations, self._name, self._strict)
        sound = sound_files(recording.video, recording.frame_times) if self._wants_sound else ()
        self._description, self._playback = recording, _Playback(recording, sound)
        self._newest_frame = self._newest_gaze = None
        self.clock = self._new_clock(recording.start)
        return DeviceInfo(
            name=recording.name,
            frame_width=recording.video.width,
            frame_height=recording.video.height,
            frame_rate=_rate(recording.frame_times),
            gaze_rate=_rate(recording.gaze.times),
            starts_at=recording.start,
            ends_at=recording.end,
            gaze_from=recording.gaze_from,
            field_of_view=None
            if recording.gaze_from
            else field_of_glasses(recording.video.width, recording.video.height),
            hears=bool(sound),
            detects_fixations=any(event.source == "device" for event in recording.fixations),
        )

    def disconnect(self) -> None:
        if self._playback is not None:
            self._playback.close()
        self._description = None

    def counts(self) -> DeviceCounts:
        """What was played so far; of the frames that never decode, all at once."""
        if self._playback is None:
            return DeviceCounts(StreamCounts(), StreamCounts())
        return self._playback.counts()

    def _collect(self) -> Delivery:
        if self._description is None or self._playback is None:
            raise DeviceError("the recording is not open: connect first")
        return self._playback.play(self.clock.now())


class _Playback:
    """One pass through a recording."""

    def __init__(self, recording: RecordingDescription, sound: Sequence[SoundFile] = ()) -> None:
        self._sound = SoundCursor(sound)
        self._recording = recording
        self._times, self._kinds, self._indices = _programme(recording)
        self._cursor = VideoCursor(recording.video)
        self._next = 0
        self._ended = False
        self._notices = list(recording.notices)
        self._frames = 0
        self._gaze = 0
        self._dropped: Counter[str] = Counter()

    def play(self, now: int) -> Delivery:
        """Everything captured up to `now` (Unix ns) that was not delivered yet."""
        first, end = self._next, int(np.searchsorted(self._times, now, side="right"))
        if self._ended:
            first = end
        self._next = end
        frames = int(np.count_nonzero(self._kinds[first:end] == FRAME))
        late = max(0, frames - MOST_FRAMES)
        samples: list[Sample] = []
        for kind, index in zip(self._kinds[first:end], self._indices[first:end], strict=True):
            if kind == FRAME and late:
                late -= 1
                self._dropped[LATE] += 1
            elif (sample := self._sample(int(kind), int(index))) is not None:
                samples.append(sample)
            if self._ended:
                break
        samples += self._sound.until(now)
        if self._sound.trouble is not None:
            self._notices.append(self._sound.trouble)
            self._sound.trouble = None
        self._ended = self._ended or end == self._times.size
        notices, self._notices = tuple(self._notices), []
        return Delivery(tuple(samples), now, now, notices, self._ended)

    def counts(self) -> DeviceCounts:
        """What was delivered and dropped so far."""
        frames = self._frames + self._dropped.total()
        return DeviceCounts(
            StreamCounts(frames, self._frames, Counter(self._dropped)),
            StreamCounts(self._gaze, self._gaze),
            StreamCounts(
                self._sound.received,
                self._sound.received - sum(self._sound.dropped.values()),
                Counter(self._sound.dropped),
            ),
        )

    def close(self) -> None:
        """Close the video; what was played can still be asked for."""
        self._cursor.close()
        self._sound.close()

    def _sample(self, kind: int, index: int) -> Sample | None:
        if kind == FRAME:
            return self._frame(index)
        if kind == GAZE:
            return self._gaze_sample(index)
        return self._recording.blinks[index] if kind == BLINK else self._recording.fixations[index]

    def _gaze_sample(self, index: int) -> GazeSample:
        self._gaze += 1
        return self._recording.gaze.sample(index)

    def _frame(self, index: int) -> SceneFrame | None:
        """Decode a frame; None if it can't be, which ends the playback unless others follow."""
        try:
            pixels = self._cursor.read(index)
        except DeviceError as error:
            lost = self._recording.video.count - index
            self._notices.append(f"{error}: playback ends there, {lost} frames before its end")
            self._dropped[UNDECODABLE] += lost
            self._ended = True
            return None
        if pixels is None:
            if not self._dropped[UNDECODABLE]:
                self._notices.append(f"frame {index} of {self._recording.name} does not decode")
            self._dropped[UNDECODABLE] += 1
            return None
        self._frames += 1
        at = int(self._recording.frame_times[index])
        return SceneFrame(at, at, index, pixels)


def _programme(
    recording: RecordingDescription,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Everything there is to deliver, in order of capture: times, kinds, indices within a kind."""
    tracks = (
        np.array([blink.captured_at for blink in recording.blinks], np.int64),
        np.array([fixation.captured_at for fixation in recording.fixations], np.int64),
        recording.gaze.times,
        recording.frame_times,
    )
    times = np.concatenate(tracks)
    kinds = np.repeat(np.arange(len(tracks)), [track.size for track in tracks])
    indices = np.concatenate([np.arange(track.size) for track in tracks])
    order = np.lexsort((kinds, times))
    return times[order], kinds[order], indices[order]


def _rate(times: NDArray[np.int64]) -> float | None:
    """Samples per second over a whole track, in Hz."""
    if times.size < 2 or times[-1] == times[0]:
        return None
    return float((times.size - 1) * NANOSECONDS / (times[-1] - times[0]))
