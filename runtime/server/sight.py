"""The live picture: each frame with the gaze, the scanpath and the fixations of that very frame.

Gaze comes more often than frames and often sooner. A frame waits until gaze captured after it has
come (or can't be waited for), so that what is drawn on it is where the eyes were when it was taken.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.device import Delivery
from devices.samples import Fixation, GazeSample, SceneFrame
from runtime.stream.steps import StepPlan

PATIENCE = int(0.05 * NANOSECONDS)  # that a frame waits for gaze captured after it
GAP = int(0.1 * NANOSECONDS)  # between two samples, beyond which nothing is known in between
TRAIL = int(1.5 * NANOSECONDS)
TRAIL_POINTS = 60
BEHIND = NANOSECONDS  # that a frame comes behind gaze and still has a whole trail
SCANPATH = int(6 * NANOSECONDS)
WIDTH = 640  # pixels of a picture as it is sent, at most
QUALITY = 75

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A frame and what was known of gaze when it was captured. Times in Unix ns.

    `gaze`: where the eyes were, None while closed or unknown; `gaze_at`: the newest sample by then.
    `trail`: gaze before. `fixations`: those of the last seconds in order.
    """

    frame: SceneFrame
    gaze: Point | None
    gaze_at: int | None
    trail: tuple[Point, ...]
    fixations: tuple[Fixation, ...]


class Sights:
    """Makes sights of what a device delivers; called in the thread that polls it.

    `look` tells the step plan of a moment, with the fixations active at it. `wanted` says whether
    anybody watches; `show` takes a sight and returns at once.
    """

    def __init__(
        self,
        look: Callable[[int], StepPlan | None],
        wanted: Callable[[], bool],
        show: Callable[[Sight], None],
    ) -> None:
        self._look, self._wanted, self._show = look, wanted, show
        self._gaze: deque[GazeSample] = deque(maxlen=1000)
        self._waiting: SceneFrame | None = None
        self._fixations: dict[int, Fixation] = {}

    def delivered(self, delivery: Delivery, now: int) -> None:
        """A device delivered something at `now` (Unix ns)."""
        for sample in delivery.samples:
            if isinstance(sample, GazeSample):
                self._gaze.append(sample)
                while sample.captured_at - self._gaze[0].captured_at > TRAIL + BEHIND:
                    self._gaze.popleft()
            elif isinstance(sample, SceneFrame):
                self._waiting = sample
        frame = self._waiting
        if frame is None or not self._wanted():
            return
        may_come = delivery.gaze_until < frame.captured_at and now - frame.arrived_at < PATIENCE
        if may_come and self._gaze and self._gaze[-1].captured_at < frame.captured_at:
            return
        self._waiting = None
        self._show(self._sight(frame))

    def _sight(self, frame: SceneFrame) -> Sight:
        at = frame.captured_at
        samples = sorted(self._gaze, key=lambda sample: sample.captured_at)
        before = [sample for sample in samples if sample.captured_at <= at]
        after = next((sample for sample in samples if sample.captured_at > at), None)
        recent = [s for s in before if s.worn and at - s.captured_at <= TRAIL]
        sparse = recent[:: max(1, len(recent) // TRAIL_POINTS)]
        return Sight(
            frame,
            gaze_between(before[-1] if before else None, after, at),
            before[-1].captured_at if before else None,
            tuple((sample.x, sample.y) for sample in sparse),
            self._scanpath(at),
        )

    def _scanpath(self, at: int) -> tuple[Fixation, ...]:
        plan = self._look(at)
        for fixation in plan.gaze.fixations if plan is not None else ():
            self._fixations[fixation.started_at] = fixation
        active = {fixation.started_at for fixation in plan.gaze.fixations} if plan else set()
        kept = {}
        for start, fixation in self._fixations.items():
            if start in active or (0 <= at - fixation.captured_at <= SCANPATH):
                kept[start] = fixation
        self._fixations = kept
        return tuple(kept[start] for start in sorted(kept))


def gaze_between(before: GazeSample | None, after: GazeSample | None, at: int) -> Point | None:
    """Where the eyes were at `at` (Unix ns), from the samples around it; None while closed."""
    if before is None or not before.worn or at - before.captured_at > GAP:
        return None
    if after is None or not after.worn or after.captured_at - before.captured_at > GAP:
        return before.x, before.y
    share = (at - before.captured_at) / (after.captured_at - before.captured_at)
    return before.x + share * (after.x - before.x), before.y + share * (after.y - before.y)


def on_one_core() -> None:
    """Keep OpenCV to the thread that calls it: the other cores are the encoders'."""
    import cv2

    cv2.setNumThreads(1)


def jpeg(pixels: NDArray[np.uint8], width: int = WIDTH, quality: int = QUALITY) -> bytes:
    """A picture, RGB (h, w, 3), no wider than `width` pixels, as JPEG."""
    import cv2  # of some weight: only a run that is served needs it

    height, whole = pixels.shape[:2]
    if whole > width:
        size = width, max(1, round(height * width / whole))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def picture_message(sight: Sight, sent_at: int) -> bytes:
    """One message: the length of its head (4 bytes, big-endian), the head as JSON, the JPEG.

    Times in milliseconds of Unix time, as browsers count; `sent_at` in Unix ns.
    """
    at = sight.frame.captured_at
    newest = sight.fixations[-1:] if sight.fixations else ()
    head = {
        "index": sight.frame.index,
        "captured_at": at / 1e6,
        "sent_at": sent_at / 1e6,
        "gaze": sight.gaze,
        "gaze_at": None if sight.gaze_at is None else sight.gaze_at / 1e6,
        "trail": sight.trail,
        "fixations": [
            {
                "x": fixation.x,
                "y": fixation.y,
                "seconds": ((fixation.ended_at or fixation.captured_at) - fixation.started_at)
                / 1e9,
                "lasts": fixation.ended_at is None and fixation in newest,
            }
            for fixation in sight.fixations
        ],
    }
    encoded = msgspec.json.encode(head)
    return struct.pack(">I", len(encoded)) + encoded + jpeg(sight.frame.pixels)
