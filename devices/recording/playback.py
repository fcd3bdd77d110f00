"""A recording as a device: everything is delivered when its time has come on the device's clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path

import av
import numpy as np

from devices.clock import NANOSECONDS, Clock, SimulatedClock, SystemClock
from devices.device import (
    Delivery,
    Device,
    DeviceCounts,
    DeviceError,
    DeviceInfo,
    StreamCounts,
)
from devices.recording.cloud import is_cloud, read_cloud
from devices.recording.description import RecordingDescription
from devices.recording.neon import is_neon, read_neon
from devices.recording.streamgaze import read_streamgaze
from devices.samples import Sample, SceneFrame

MOST_FRAMES = 64  # decoded in one poll; what is older then is dropped, and counted
BLINK, FIXATION, GAZE, FRAME = range(4)  # at the same time, in this order


def describe(path: Path, fixations: Sequence[Path] = ()) -> RecordingDescription:
    """Read a recording of any known format. Raises DeviceError naming what is wrong with it."""
    if path.is_file():
        return read_streamgaze(path, fixations)
    if not path.is_dir():
        raise DeviceError(f"{path}: there is no such recording")
    if is_neon(path):
        return read_neon(path)
    if is_cloud(path):
        return read_cloud(path)
    raise DeviceError(
        f"{path}: not a recording: give a Neon recording, a Pupil Cloud export, or a video file "
        "with its fixation CSV"
    )


class RecordingDevice(Device):
    """Plays a recording in the time it was made.

    `fast`: on a simulated clock, as fast as its user goes. `fixations`: files, or folders to look
    in, for a video without gaze of its own.
    """

    def __init__(self, path: Path, fast: bool = False, fixations: Sequence[Path] = ()) -> None:
        super().__init__()
        self._path = path
        self._fast = fast
        self._places = fixations
        self._description: RecordingDescription | None = None
        self._decoder = _nothing()
        self._played = _Played()

    @property
    def description(self) -> RecordingDescription:
        """What is being played; only once connected."""
        if self._description is None:
            raise DeviceError("the recording is not open: connect first")
        return self._description

    def connect(self) -> DeviceInfo:
        """Read the recording and start its clock at its first frame."""
        recording = describe(self._path, self._places)
        self._description = recording
        self._decoder = recording.video.decoded()
        self._order = _order(recording)
        self._played = _Played()
        self._newest_frame = self._newest_gaze = None
        clock: type[Clock] = SimulatedClock if self._fast else SystemClock
        self.clock = clock(recording.start)
        return DeviceInfo(
            name=recording.name,
            frame_width=recording.video.width,
            frame_height=recording.video.height,
            frame_rate=_rate(recording.frame_times),
            gaze_rate=_rate(recording.gaze.times),
            starts_at=recording.start,
            ends_at=recording.end,
            gaze_from=recording.gaze_from,
            detects_fixations=bool(recording.fixations),
        )

    def disconnect(self) -> None:
        """Close the video."""
        self._decoder.close()
        self._description = None

    def counts(self) -> DeviceCounts:
        """What was played so far."""
        played = self._played
        frames = played.frames + sum(played.dropped.values())
        return DeviceCounts(
            StreamCounts(frames, played.frames, dict(played.dropped)),
            StreamCounts(played.gaze, played.gaze, {}),
        )

    def _collect(self) -> Delivery:
        recording, played = self.description, self._played
        now = self.clock.now()
        times, kinds, indices = self._order
        end = int(np.searchsorted(times, now, side="right"))
        due = slice(played.events, end)
        frames_due = int((kinds[due] == FRAME).sum())
        late = max(0, frames_due - MOST_FRAMES)
        samples: list[Sample] = []
        notices: list[str] = []
        for kind, index in zip(kinds[due], indices[due], strict=True):
            if kind == FRAME:
                sample = self._frame(int(index), wanted=late <= 0, notices=notices)
                late -= 1
                if sample is not None:
                    samples.append(sample)
            else:
                samples.append(_event(recording, int(kind), int(index)))
                played.gaze += int(kind == GAZE)
        played.events = end
        ended = end == times.size and now >= recording.end
        return Delivery(tuple(samples), now, now, tuple(notices), ended)

    def _frame(self, index: int, wanted: bool, notices: list[str]) -> SceneFrame | None:
        """Decode the next frame; only one that is wanted becomes RGB."""
        played = self._played
        try:
            decoded = next(self._decoder)
        except (StopIteration, av.FFmpegError, DeviceError):
            if not played.dropped["undecodable"]:
                notices.append(f"the video stops decoding at frame {index}")
            played.dropped["undecodable"] += 1
            return None
        if not wanted:
            played.dropped["late"] += 1
            return None
        played.frames += 1
        at = int(self.description.frame_times[index])
        return SceneFrame(at, at, index, decoded.to_ndarray(format="rgb24"))


def _nothing() -> Generator[av.VideoFrame]:
    yield from ()


class _Played:
    """How far playback has come."""

    def __init__(self) -> None:
        self.events = 0
        self.frames = 0
        self.gaze = 0
        self.dropped: Counter[str] = Counter()


def _order(recording: RecordingDescription) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Everything there is to deliver, in order of capture: times, kinds, indices."""
    tracks = (
        np.array([blink.captured_at for blink in recording.blinks], np.int64),
        np.array([fixation.captured_at for fixation in recording.fixations], np.int64),
        recording.gaze.times,
        recording.frame_times,
    )
    times = np.concatenate(tracks)
    kinds = np.repeat(np.arange(4), [track.size for track in tracks])
    indices = np.concatenate([np.arange(track.size) for track in tracks])
    order = np.lexsort((kinds, times))
    return times[order], kinds[order], indices[order]


def _event(recording: RecordingDescription, kind: int, index: int) -> Sample:
    if kind == GAZE:
        return recording.gaze.sample(index)
    return recording.blinks[index] if kind == BLINK else recording.fixations[index]


def _rate(times: np.ndarray) -> float | None:
    if times.size < 2 or times[-1] == times[0]:
        return None
    return float((times.size - 1) * NANOSECONDS / (times[-1] - times[0]))
