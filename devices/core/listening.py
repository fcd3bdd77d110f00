"""Two threads that listen to Pupil Capture: one for gaze and the clock, one for frames.

Frames have a thread of their own because decoding one would hold up the gaze behind it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from typing import Any

import zmq

from devices.clock import NANOSECONDS, Clock
from devices.complaints import Complaints, reason
from devices.core import messages
from devices.core.connection import CaptureSilent, Requests, Subscription
from devices.core.messages import BadMessage, PupilClock
from devices.mailbox import Mailbox
from devices.mailbox import Stream as Lane
from devices.samples import SceneFrame
from devices.silence import SilenceWatch

REQUEST_TIMEOUT = 1.0
FIRST_FRAME_TIMEOUT = 2.0
LOOK_SPACING = 0.02
CLOCK_SPACING = 1.0
FORMAT_PATIENCE = 0.45
"""Seconds without a frame after which the next format is asked for."""
GIVE_UP = 1.5
"""Seconds without a message after which Capture is asked anew where it publishes."""
FRAMES_KEPT = 3
"""Frames that are decoded of those that wait; older ones are dropped."""
MOST_DATUM, MOST_FRAME = 2**16, 2**23
"""Bytes of a gaze datum or fixation, and of a frame: 1920 x 1080 uncompressed has 6.2 MB."""
BAD, UNDATED, BEHIND = "malformed", "clock not known", "decoder behind"
NOUNS: Mapping[Lane, str] = {"frames": "scene camera", "gaze": "gaze"}


class Listener:
    """Listens from `start` to `stop`, and finds Capture again when it was restarted."""

    def __init__(
        self, address: str, port: int, mailbox: Mailbox, clock: Clock, confidence: float
    ) -> None:
        """`confidence`: below it there is no gaze."""
        self._address, self._port = address, port
        self._mailbox = mailbox
        self._clock = clock
        self._context = zmq.Context()
        self._leaving = threading.Event()
        self._opened: Future[int] = Future()
        self._first_frame: Future[tuple[int, int]] = Future()
        self._pupil_clock: PupilClock | None = None
        self._clock_doubted = False
        self._publishing_port = 0
        self._heard_at: dict[Lane, int] = {}
        self._silence = SilenceWatch(mailbox)
        self._gaze_faults, self._frame_faults = (Complaints(mailbox.note) for _ in NOUNS)
        self._confidence = confidence
        self._blinks = messages.Blinks()
        self._formats = itertools.cycle(messages.FRAME_FORMATS)
        self._index = 0
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._follow_gaze, "core-gaze"), (self._follow_frames, "core"))
        ]

    def start(self) -> tuple[int, int]:
        """Open and wait for a frame; returns (width, height). Raises CaptureSilent, and
        concurrent.futures.TimeoutError where Capture answers but sends no frame.
        """
        for thread in self._threads:
            thread.start()
        self._opened.result()
        return self._first_frame.result(FIRST_FRAME_TIMEOUT)

    def stop(self) -> None:
        """End the threads and close every socket."""
        self._leaving.set()
        for thread in self._threads:
            thread.join()
        self._context.term()

    def _follow_gaze(self) -> None:
        while not self._leaving.is_set():
            try:
                self._follow_capture()
            except CaptureSilent as error:
                self._give_up(error)
            except Exception as error:
                self._gaze_faults.add(f"gaze: {reason(error)}; connecting anew", self._clock.now())
                self._give_up(CaptureSilent(reason(error)))
                self._leaving.wait(LOOK_SPACING)
            self._look()

    def _give_up(self, error: CaptureSilent) -> None:
        """Whoever waits for Capture to be found does so no longer."""
        if not self._opened.done():
            self._leaving.set()
            self._opened.set_exception(error)

    def _follow_capture(self) -> None:
        """One connection to Capture, from its opening to its end."""
        with ExitStack() as stack:
            requests = Requests(self._context, self._address, self._port, REQUEST_TIMEOUT)
            stack.callback(requests.close)
            subscription = self._open(requests)
            stack.callback(subscription.close)
            if not self._opened.done():
                self._opened.set_result(self._publishing_port)
            self._listen(requests, subscription)

    def _open(self, requests: Requests) -> Subscription:
        port = requests.subscription_port()
        self._pupil_clock = requests.clock(self._clock)
        for notification in messages.START_DETECTORS:
            requests.notify(notification)
        self._ask_for_frames(requests)
        now = self._clock.now()
        self._heard_at = dict.fromkeys(NOUNS, now) | self._heard_at
        self._publishing_port = port
        topics = (messages.GAZE_TOPIC, messages.FIXATION_TOPIC, messages.BLINK_TOPIC)
        return Subscription(self._context, self._address, port, topics, 1000, MOST_DATUM)

    def _ask_for_frames(self, requests: Requests) -> None:
        """Ask for frames, each time in another format: cameras differ in what they have."""
        for notification in messages.frames_asked(next(self._formats)):
            requests.notify(notification)
        self._asked_at = self._clock.now()

    def _listen(self, requests: Requests, subscription: Subscription) -> None:
        """Until Capture is silent for too long or the device is left."""
        opened_at = clock_at = self._clock.now()
        while not self._leaving.is_set():
            subscription.wait(LOOK_SPACING)
            for topic, message, _ in subscription.messages():
                self._take(topic, message)
            self._look()
            now = self._clock.now()
            doubted, self._clock_doubted = self._clock_doubted, False
            if doubted or now - clock_at > CLOCK_SPACING * NANOSECONDS:
                self._pupil_clock, clock_at = requests.clock(self._clock), self._clock.now()
            framed_at = max(self._asked_at, self._heard_at["frames"])
            if now - framed_at > FORMAT_PATIENCE * NANOSECONDS:
                self._ask_for_frames(requests)
            if now - max(opened_at, *self._heard_at.values()) > GIVE_UP * NANOSECONDS:
                return

    def _take(self, topic: str, message: Mapping[str, Any]) -> None:
        arrived_at = self._clock.now()
        is_gaze = topic.startswith(messages.GAZE_TOPIC)
        if is_gaze:
            self._mailbox.receive("gaze")
            self._heard_at["gaze"] = arrived_at
        try:
            captured_at = self._date(message, arrived_at)
            if captured_at is None:
                sample = None
            elif is_gaze:
                least = self._confidence
                sample = messages.gaze_sample(message, captured_at, arrived_at, least)
            elif topic.startswith(messages.BLINK_TOPIC):
                sample = self._blinks.take(message, captured_at, arrived_at)
            else:
                sample = messages.fixation(message, captured_at, arrived_at)
        except BadMessage:
            sample, cause = None, BAD
        except Exception as error:
            sample, cause = None, BAD
            self._gaze_faults.add(f"a message of Pupil Capture: {reason(error)}", arrived_at)
        else:
            cause = UNDATED
        if sample is not None:
            self._mailbox.hand_in(sample)
        elif is_gaze:
            self._mailbox.drop("gaze", cause)

    def _date(self, message: Mapping[str, Any], arrived_at: int) -> int | None:
        captured_at = self._pupil_clock.date(messages.pupil_seconds(message), arrived_at)
        self._clock_doubted |= captured_at is None
        return captured_at

    def _look(self) -> None:
        now = self._clock.now()
        self._gaze_faults.look(now)
        for lane, heard_at in self._heard_at.items():
            self._silence.look(lane, NOUNS[lane], heard_at, heard_at, now)

    def _follow_frames(self) -> None:
        with suppress(CaptureSilent):
            self._opened.result()
        while not self._leaving.is_set():
            try:
                self._follow_publisher(self._publishing_port)
            except Exception as error:
                now = self._clock.now()
                self._frame_faults.add(f"scene camera: {reason(error)}; connecting anew", now)
                self._leaving.wait(LOOK_SPACING)

    def _follow_publisher(self, port: int) -> None:
        """The frames of one connection, until Capture publishes elsewhere."""
        subscription = Subscription(
            self._context, self._address, port, (messages.FRAME_TOPIC,), 12, MOST_FRAME
        )
        try:
            while not self._leaving.is_set() and port == self._publishing_port:
                if subscription.wait(LOOK_SPACING):
                    self._take_frames(subscription)
                self._frame_faults.look(self._clock.now())
        finally:
            subscription.close()

    def _take_frames(self, subscription: Subscription) -> None:
        """The newest of the frames that wait."""
        arrived = []
        for _, message, data in subscription.messages():
            arrived.append((self._clock.now(), message, data))
        self._heard_at["frames"] = self._clock.now()
        for _ in arrived:
            self._mailbox.receive("frames")
        for _ in arrived[:-FRAMES_KEPT]:
            self._mailbox.drop("frames", BEHIND)
        self._index += len(arrived[:-FRAMES_KEPT])
        for arrived_at, message, data in arrived[-FRAMES_KEPT:]:
            self._take_frame(arrived_at, message, data)

    def _take_frame(self, arrived_at: int, message: Mapping[str, Any], data: bytes) -> None:
        self._index += 1
        try:
            captured_at = self._date(message, arrived_at)
            pixels = messages.pixels(message, data)
        except Exception as error:
            self._mailbox.drop("frames", BAD)
            if not isinstance(error, BadMessage):
                self._frame_faults.add(f"a frame of Pupil Capture: {reason(error)}", arrived_at)
            return
        if not self._first_frame.done():
            self._first_frame.set_result((pixels.shape[1], pixels.shape[0]))
        if captured_at is None:
            self._mailbox.drop("frames", UNDATED)
        else:
            self._mailbox.hand_in(SceneFrame(captured_at, arrived_at, self._index - 1, pixels))
