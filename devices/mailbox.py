"""Samples on their way from a device's thread to its user: bounded, the newest win, all counted."""

from __future__ import annotations

import threading
import warnings
from collections import Counter, deque
from typing import Literal

from devices import bounds
from devices.device import Delivery, DeviceCounts, StreamCounts, UnbalancedAccounts
from devices.printable import printable
from devices.samples import GazeSample, Sample, SceneFrame, Sound

Stream = Literal["frames", "gaze", "sound"]

LATE = "late"
OVERRUN = "not polled in time"
ENDED = "run ended"
UNACCOUNTED = "unaccounted for"
NOTICE_LENGTH = 400


class _Lane:
    """One stream's queue, counts and the capture times it has reached."""

    def __init__(self, limit: int) -> None:
        self.waiting: deque[tuple[int, Sample]] = deque()
        self.limit = limit
        self.received = 0
        self.delivered = 0
        self.dropped: Counter[str] = Counter()
        self.newest = 0
        self.until = 0

    def counts(self) -> StreamCounts:
        return StreamCounts(self.received, self.delivered, Counter(self.dropped))

    def close(self) -> int:
        """How many samples there is no account of."""
        self.dropped[ENDED] += len(self.waiting)
        self.waiting.clear()
        missing = self.received - self.delivered - self.dropped.total()
        if missing:
            self.dropped[UNACCOUNTED] += missing
        return missing


class Mailbox:
    """Filled by a device's threads, emptied by `collect` from the user's.

    What is received is counted first (`receive`) and later either handed in (`hand_in`) or dropped
    (`drop`). Within a stream capture times only rise: what is not newer than the newest before it,
    or than what was declared final (`finish`), is dropped as late. This is the door of every live
    device: samples with numbers that can't be are dropped by cause, and lines are made printable.
    """

    def __init__(
        self, frames: int = 8, gaze: int = 400, others: int = 200, sound: int = 100
    ) -> None:
        """The limits are numbers of samples that wait; beyond them the oldest is dropped."""
        self._lock = threading.Lock()
        self._lanes = {"frames": _Lane(frames), "gaze": _Lane(gaze), "sound": _Lane(sound)}
        self._others: deque[tuple[int, Sample]] = deque(maxlen=others)
        self._notices: deque[str] = deque(maxlen=100)
        self._refused: Counter[str] = Counter()
        self._arrivals = 0
        self._is_closed = False

    def receive(self, stream: Stream) -> None:
        """Count one sample of the stream as received."""
        with self._lock:
            self._lanes[stream].received += 1

    def drop(self, stream: Stream, cause: str, captured_at: int | None = None) -> None:
        """Count a received sample as dropped; its capture time, where known, is then final."""
        with self._lock:
            lane = self._lanes[stream]
            lane.dropped[cause] += 1
            lane.newest = max(lane.newest, captured_at or 0)

    def hand_in(self, sample: Sample) -> None:
        """Let a sample wait for the user."""
        with self._lock:
            self._arrivals += 1
            entry = (self._arrivals, sample)
            fault = bounds.fault(sample)
            if isinstance(sample, SceneFrame):
                self._enqueue(self._lanes["frames"], entry, fault)
            elif isinstance(sample, GazeSample):
                self._enqueue(self._lanes["gaze"], entry, fault)
            elif isinstance(sample, Sound):
                self._enqueue(self._lanes["sound"], entry, fault)
            elif fault is not None:
                self._refused[fault] += 1
            else:
                self._others.append(entry)

    def _enqueue(self, lane: _Lane, entry: tuple[int, Sample], fault: str | None) -> None:
        if self._is_closed or fault is not None:
            lane.dropped[fault or ENDED] += 1
            return
        if entry[1].captured_at <= lane.newest:
            lane.dropped[LATE] += 1
            return
        lane.newest = entry[1].captured_at
        lane.waiting.append(entry)
        if len(lane.waiting) > lane.limit:
            lane.waiting.popleft()
            lane.dropped[OVERRUN] += 1

    def note(self, line: str) -> None:
        """A line for a person."""
        with self._lock:
            self._notices.append(printable(line, NOTICE_LENGTH))

    @property
    def refused(self) -> int:
        """How many samples of kinds without a stream had numbers that can't be."""
        with self._lock:
            return self._refused.total()

    def finish(self, stream: Stream, moment: int) -> None:
        """Declare that nothing captured up to `moment` will be handed in any more."""
        with self._lock:
            lane = self._lanes[stream]
            lane.newest = max(lane.newest, moment)

    def collect(self) -> Delivery:
        """Everything that waits, in order of arrival."""
        with self._lock:
            entries = list(self._others)
            self._others.clear()
            for lane in self._lanes.values():
                entries += lane.waiting
                lane.delivered += len(lane.waiting)
                lane.waiting.clear()
                lane.until = lane.newest
            notices = tuple(self._notices)
            self._notices.clear()
            frames, gaze = self._lanes["frames"].until, self._lanes["gaze"].until
        entries.sort(key=lambda entry: entry[0])
        return Delivery(tuple(sample for _, sample in entries), frames, gaze, notices)

    def close(self) -> None:
        """Nobody collects any more: what waits, and what is yet handed in, counts as dropped.

        Whoever fills it has ended. Here the accounts are closed: what was received and is neither
        delivered nor dropped by a cause is a fault of this program; it is counted under a name of
        its own and said as the warning UnbalancedAccounts, which ends a test, never a run.
        """
        with self._lock:
            self._is_closed = True
            missing = {name: lane.close() for name, lane in self._lanes.items()}
        for name, count in missing.items():
            if count:
                warnings.warn(
                    f"{name}: {count} samples are {UNACCOUNTED}", UnbalancedAccounts, stacklevel=2
                )

    def counts(self) -> DeviceCounts:
        """What was received, delivered and dropped so far."""
        with self._lock:
            return DeviceCounts(*(lane.counts() for lane in self._lanes.values()))
