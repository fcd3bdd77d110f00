"""The synthetic wearer as a device: live, in real time or on any clock that is given."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np

from devices.clock import NANOSECONDS, Clock, SystemClock
from devices.device import (
    Delivery,
    Device,
    DeviceCounts,
    DeviceError,
    DeviceInfo,
    KnownAlert,
    StreamCounts,
)
from devices.samples import Blink, GazeSample, KnownQuestion, Sample, SceneFrame
from devices.synthetic.asking import ask_about_the_past
from devices.synthetic.eyes import FIELD_OF_VIEW, GAZE_RATE
from devices.synthetic.questions import ASKERS, GAZE_ALERTS, OAR, OI_EASY, OI_HARD
from devices.synthetic.table import TablePicture
from devices.synthetic.wearer import Wearer

FRAME_SIDE = 336  # pixels
FRAME_RATE = 30  # Hz
MOST_FRAMES = 8  # in one delivery; older ones are dropped as late
LATE = "late"
HORIZON = 30.0  # seconds in which all that appears has appeared, for an endless wearer
REMEMBERED = 60.0  # seconds for which the device knows what was looked at
SETTLED = 0.4  # seconds that eyes have rested on a thing when a question is asked
ASKED_TASKS = (OI_EASY, OI_HARD, OAR)


class SyntheticDevice(Device):
    """A wearer at a table with things on it. The same seed gives the same world and the same gaze.

    Frames are drawn when they are polled. Every `question_every` seconds, first after half of that,
    the device asks a question once the eyes rest on a thing (`KnownQuestion`); None asks none.
    Every other question is about the past, where there is something to ask.
    """

    def __init__(
        self,
        seed: int = 0,
        seconds: float | None = None,
        clock: Clock | None = None,
        question_every: float | None = 5.0,
    ) -> None:
        """`seconds` until the stream ends, None for never. `clock`: the host's by default."""
        super().__init__()
        if seconds is not None and seconds <= 0:
            raise DeviceError(f"a synthetic wearer of {seconds:g} s: give more than 0 seconds")
        if question_every is not None and question_every <= 0:
            raise DeviceError(f"a question every {question_every:g} s: give more than 0 seconds")
        self.clock = clock or SystemClock()
        self._seed = seed
        self._seconds = seconds
        self._every = question_every
        self._stream: _Stream | None = None
        self._drawing = threading.Lock()  # gaze is drawn as far as it is asked for

    def connect(self) -> DeviceInfo:
        """Start a new stream, from its first second on."""
        self._newest_frame = self._newest_gaze = None
        self._stream = _Stream(self._seed, self._seconds, self._every, self.clock.now())
        start = self._stream.start
        ends = None if self._seconds is None else start + _nanoseconds(self._seconds)
        return DeviceInfo(
            name=f"synthetic wearer, seed {self._seed}",
            frame_width=FRAME_SIDE,
            frame_height=FRAME_SIDE,
            frame_rate=FRAME_RATE,
            gaze_rate=GAZE_RATE,
            starts_at=start,
            ends_at=ends,
            field_of_view=(FIELD_OF_VIEW, FIELD_OF_VIEW),
        )

    def disconnect(self) -> None:
        if self._stream is not None:
            self._stream.open = False

    def counts(self) -> DeviceCounts:
        if self._stream is None:
            return DeviceCounts(StreamCounts(), StreamCounts())
        return self._stream.counts()

    def looked_at(self, moment: int) -> str | None:
        """The name of the thing looked at at a moment (Unix ns); None for the table or nothing.

        During a saccade from thing to thing, and while the eyes are closed, nothing is looked at.
        What lies more than a minute before the newest sample is forgotten: None.
        """
        with self._drawing:
            return self._connected().looked_at(moment)

    @property
    def known_alert(self) -> KnownAlert:
        """An alert worth setting: a thing that will be looked at, and something else will be."""
        return self._connected().alert

    def _collect(self) -> Delivery:
        stream = self._connected()
        if not stream.open:
            raise DeviceError("the synthetic wearer is disconnected: connect first")
        with self._drawing:
            return stream.collect(self.clock.now())

    def _connected(self) -> _Stream:
        if self._stream is None:
            raise DeviceError("the synthetic wearer is not connected: connect first")
        return self._stream


class _Stream:
    """One stream from its start (Unix ns) on: what has been delivered, what comes next."""

    def __init__(self, seed: int, seconds: float | None, every: float | None, start: int) -> None:
        self.start = start
        self.open = True
        self._seed = seed
        self._end = None if seconds is None else start + _nanoseconds(seconds)
        self._every = every
        self._wearer = Wearer(seed, seconds or HORIZON)
        self._table = TablePicture(self._wearer.scene, FRAME_SIDE)
        self.alert = self._worthwhile_alert()
        self._frames = 0
        self._late = 0
        self._gaze = 0
        self._asked = 0
        self._question = self._next_question()
        self._closed_at: int | None = None

    def counts(self) -> DeviceCounts:
        dropped = Counter({LATE: self._late} if self._late else {})
        return DeviceCounts(
            StreamCounts(self._frames, self._frames - self._late, dropped),
            StreamCounts(self._gaze, self._gaze),
        )

    def collect(self, now: int) -> Delivery:
        """Everything captured up to `now` that has not been delivered yet."""
        until = now if self._end is None else min(now, self._end)
        samples: list[Sample] = [*self._new_gaze(until, now), *self._new_frames(until, now)]
        while self._question is not None and self._question.captured_at <= until:
            samples.append(self._question)
            self._question = self._next_question()
        samples.sort(key=lambda sample: sample.captured_at)
        self._wearer.eyes.forget((until - self.start) / NANOSECONDS - REMEMBERED)
        ended = self._end is not None and now >= self._end
        return Delivery(tuple(samples), until, until, ended=ended)

    def looked_at(self, moment: int) -> str | None:
        seconds = (moment - self.start) / NANOSECONDS
        if seconds < 0:
            return None
        track = self._wearer.eyes.track(seconds)
        dwell = self._wearer.eyes.dwell_at(seconds)
        if dwell is None or dwell.thing is None:
            return None
        tick = int(seconds * GAZE_RATE) - track.first
        if tick < 0 or not track.open[tick]:
            return None
        return self._wearer.scene.things[dwell.thing].name

    def _worthwhile_alert(self) -> KnownAlert:
        """About what is looked at most; found before anything is forgotten."""
        dwells = self._wearer.dwells(0.0, HORIZON)[1:]  # not what is looked at right at the start
        seen = Counter(dwell.thing for dwell in dwells if dwell.thing is not None)
        target = self._wearer.scene.things[seen.most_common(1)[0][0]].name
        return KnownAlert(GAZE_ALERTS[0].format(f"the {target}"), target)

    def _new_frames(self, until: int, now: int) -> list[SceneFrame]:
        due = (until - self.start) * FRAME_RATE // NANOSECONDS + 1
        first = max(self._frames, due - MOST_FRAMES)
        self._late += first - self._frames
        self._frames = max(due, self._frames)
        return [self._frame(index, now) for index in range(first, due)]

    def _frame(self, index: int, now: int) -> SceneFrame:
        seconds = index / FRAME_RATE
        pose = self._wearer.head.pose(seconds)
        pixels = self._table.frame(pose, seconds, index, FRAME_SIDE, FRAME_SIDE)
        pixels.flags.writeable = False
        captured = self.start + -(-index * NANOSECONDS // FRAME_RATE)
        return SceneFrame(captured, now, index, pixels)

    def _new_gaze(self, until: int, now: int) -> list[GazeSample | Blink]:
        due = (until - self.start) * GAZE_RATE // NANOSECONDS + 1
        track = self._wearer.eyes.track((until - self.start) / NANOSECONDS)
        samples: list[GazeSample | Blink] = []
        for tick in range(self._gaze, due):
            captured = self.start + tick * (NANOSECONDS // GAZE_RATE)
            place = tick - track.first
            opened = bool(track.open[place])
            if not opened and self._closed_at is None:
                self._closed_at = captured
            elif opened and self._closed_at is not None:
                samples.append(Blink(captured, now, self._closed_at, captured))
                self._closed_at = None
            x, y = float(track.x[place]), float(track.y[place])
            samples.append(GazeSample(captured, now, x, y, worn=opened))
        self._gaze = max(due, self._gaze)
        return samples

    def _next_question(self) -> KnownQuestion | None:
        """The next question and the moment at which it falls."""
        if self._every is None:
            return None
        self._asked += 1
        random = np.random.default_rng((self._seed, self._asked))
        seconds = self._settled((self._asked - 0.5) * self._every)
        moment = self._wearer.moment(seconds)
        past = self._asked % 2 == 0
        question = ask_about_the_past(random, self._wearer, seconds) if past else None
        if question is None:
            tasks = random.permutation(len(ASKED_TASKS))
            asked = (ASKERS[ASKED_TASKS[task]](random, moment) for task in tasks)
            question = next((each for each in asked if each is not None), None)
        if question is None:
            return self._next_question()
        at = self.start + _nanoseconds(seconds)
        return KnownQuestion(
            at, at, question.task, question.text, question.options, question.answer
        )

    def _settled(self, seconds: float) -> float:
        """The first moment from `seconds` on at which the eyes have rested on a thing a while."""
        eyes = self._wearer.eyes
        ticks = round(SETTLED * GAZE_RATE)
        while True:
            track = eyes.track(seconds)
            tick = int(seconds * GAZE_RATE) - track.first
            recent = track.segment[max(tick - ticks, 0) : tick + 1]
            dwell = eyes.dwell_at(seconds)
            resting = recent.size > ticks and recent.min() == recent.max() >= 0
            if resting and dwell is not None and dwell.thing is not None:
                return seconds
            seconds += 0.05


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
