"""A saved session as a device: everything is delivered again as it was."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from devices.bounds import fault
from devices.clock import SimulatedClock, SystemClock
from devices.device import (
    Delivery,
    Device,
    DeviceCounts,
    DeviceError,
    DeviceInfo,
    StreamCounts,
)
from devices.samples import GazeSample, Sample, SceneFrame, Sound
from devices.session.lines import (
    FRAMES,
    LINES,
    Batch,
    FrameLine,
    is_said_aloud,
    last_poll,
    read_batches,
    read_head,
    said_aloud,
)
from devices.session.video import SavedFrames

NOT_SAVED = "not saved"
CUT_OFF = "cut off"


class _PolledClock(SimulatedClock):
    """Time goes from one saved delivery to the next, so that each is polled when it was."""

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self.next_poll: int | None = None

    def sleep_until(self, moment: int) -> None:
        super().sleep_until(moment if self.next_poll is None else self.next_poll)


class SessionDevice(Device):
    """Plays a session. Questions that were asked while it was saved are asked again."""

    def __init__(self, path: Path, fast: bool = False, sound: bool = False) -> None:
        """`fast`: on a simulated clock, delivery by delivery; else in the time that it took.

        `sound`: deliver the sound that was saved, too, to be heard anew.
        """
        super().__init__()
        self._path = path
        self._fast = fast
        self._sound = sound
        self._playback: _Playback | None = None

    def connect(self) -> DeviceInfo:
        self.disconnect()
        head = read_head(self._path)
        if not (self._path / LINES).is_file():
            raise DeviceError(f"{self._path}: the session has no {LINES}: it is not whole")
        end = last_poll(self._path)
        if end is None:
            raise DeviceError(f"{self._path}: nothing was saved in this session")
        self._newest_frame = self._newest_gaze = None
        self._playback = playback = _Playback(self._path, self._sound)
        self._polled = _PolledClock(playback.next_at or end)
        self.clock = self._polled if self._fast else SystemClock(playback.next_at)
        starts_at = head.started_at if head.info.starts_at is None else head.info.starts_at
        ends_at = end if head.info.ends_at is None else head.info.ends_at
        name = f"session of {head.info.name}"
        hears = head.info.hears and self._sound
        return replace(head.info, name=name, starts_at=starts_at, ends_at=ends_at, hears=hears)

    def disconnect(self) -> None:
        if self._playback is not None:
            self._playback.close()

    def counts(self) -> DeviceCounts:
        if self._playback is None:
            return DeviceCounts(StreamCounts(), StreamCounts())
        return self._playback.counts()

    def _collect(self) -> Delivery:
        if self._playback is None:
            raise DeviceError("the session is not open: connect first")
        delivery = self._playback.play(self.clock.now())
        self._polled.next_poll = self._playback.next_at
        return delivery


class _Playback:
    """One pass through a session."""

    def __init__(self, folder: Path, sound: bool) -> None:
        self._folder = folder
        self._delivers_sound = sound
        self._sounds = 0
        self._sound_dropped: Counter[str] = Counter()
        self._batches: Iterator[Batch] = read_batches(folder)
        self._next = next(self._batches, None)
        self._said = deque(said_aloud(folder))
        self._video = SavedFrames(folder / FRAMES) if (folder / FRAMES).is_file() else None
        self._until = 0, 0
        self._is_cut = False
        self._frames = 0
        self._gaze = 0
        self._dropped: Counter[str] = Counter()
        self._gaze_dropped: Counter[str] = Counter()

    @property
    def next_at(self) -> int | None:
        """When the next delivery was polled, Unix ns; None after the last."""
        return self._next.polled_at if self._next else None

    def play(self, now: int) -> Delivery:
        """Everything that had been delivered by `now` (Unix ns) and was not played yet."""
        samples: list[Sample] = []
        notices: list[str] = []
        while not self._is_cut and self._next is not None and self._next.polled_at <= now:
            batch = self._next
            samples += self._said_by(batch.polled_at)
            samples += filter(None, map(self._sample, batch.samples))
            notices += batch.notices
            self._until = batch.frames_until, batch.gaze_until
            self._next = next(self._batches, None)
        if self._is_cut and self._next is not None:
            notices.append("the frames of this session were cut off here: it ends")
            self._next = None
        return Delivery(tuple(samples), *self._until, tuple(notices), self._next is None)

    def _said_by(self, moment: int) -> Iterator[Sample]:
        """What was said by `moment` (Unix ns): asked when it was said, not when it was understood,
        so that nothing later is decided before."""
        while self._said and self._said[0].captured_at <= moment:
            yield self._said.popleft()

    def counts(self) -> DeviceCounts:
        """What was played so far; frames whose pixels are not in the session are dropped."""
        dropped = Counter({cause: n for cause, n in self._dropped.items() if n})
        return DeviceCounts(
            StreamCounts(self._frames, self._frames - dropped.total(), dropped),
            StreamCounts(
                self._gaze, self._gaze - self._gaze_dropped.total(), Counter(self._gaze_dropped)
            ),
            StreamCounts(
                self._sounds,
                self._sounds - self._sound_dropped.total(),
                Counter(self._sound_dropped),
            ),
        )

    def close(self) -> None:
        """Close the files; what was played can still be asked for."""
        self._batches = iter(())
        self._next = None
        if self._video is not None:
            self._video.close()
            self._video = None

    def _sample(self, sample: Sample | FrameLine) -> Sample | None:
        if is_said_aloud(sample):
            return None  # it was delivered at its moment
        if not isinstance(sample, FrameLine):
            return self._checked(sample)
        self._frames += 1
        if not sample.saved:
            self._dropped[NOT_SAVED] += 1
            return None
        if self._video is None:
            raise DeviceError(f"{self._folder}: the session has no {FRAMES}: it is not whole")
        pixels = self._video.next()
        if pixels is None:
            self._dropped[CUT_OFF] += 1
            self._is_cut = True
            return None
        return SceneFrame(sample.captured_at, sample.arrived_at, sample.index, pixels)

    def _checked(self, sample: Sample) -> Sample | None:
        """What may be delivered; numbers that can't be are dropped by cause, as live."""
        if isinstance(sample, Sound) and not self._delivers_sound:
            return None
        wrong = fault(sample)
        if isinstance(sample, Sound):
            self._sounds += 1
            if wrong is not None:
                self._sound_dropped[wrong] += 1
        if isinstance(sample, GazeSample):
            self._gaze += 1
            if wrong is not None:
                self._gaze_dropped[wrong] += 1
        return sample if wrong is None else None
