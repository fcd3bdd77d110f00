"""What the phone says of the eyes: gaze, and the fixations and blinks that it detects itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from devices.bounds import NO_PLACE, is_place
from devices.clock import NANOSECONDS, Clock
from devices.mailbox import ENDED, Mailbox
from devices.neon import wire
from devices.neon.rtsp.description import Description
from devices.neon.sequence import Arrival
from devices.neon.stream import BEFORE_REPORT, Stream
from devices.neon.timing import LONGEST_EVENT, EventClock
from devices.neon.undistortion import Lens
from devices.neon.video.decoding import UNDATED
from devices.neon.world import WorldStream
from devices.samples import Blink, Fixation, GazeSample

GAZE_PATIENCE = NANOSECONDS // 100
HELD_GAZE = 20
WORN_CHANGE = 20
"""Gaze samples in a row that make a change of the worn state."""
UNKNOWN_SIZE = "unknown gaze size"
MOST_WAITING = 400
"""Gaze samples (two seconds) that wait for the size of the scene camera's frames."""
UNPLACED, FAILED = "frame size not known", "failed"


@dataclass(frozen=True, slots=True)
class _Unplaced:
    """Gaze in scene pixels that waits for the size of the frame."""

    captured_at: int
    arrived_at: int
    gaze: wire.GazePayload


class GazeStream(Stream):
    """Gaze. `recent` holds (capture time, x, y) of the last second, in fractions of the frame."""

    camera, noun = "gaze", "gaze"
    patience, held = GAZE_PATIENCE, HELD_GAZE

    def __init__(
        self,
        mailbox: Mailbox,
        clock: Clock,
        ask_for_echo: Callable[[], None],
        world: WorldStream,
        lens: Lens | None,
    ) -> None:
        """`lens`: undistort gaze points; None: leave them as they are."""
        self._world = world
        self._lens = lens
        self.worn = True
        self._disagreeing = 0
        self._unknown_said = False
        self.recent: deque[tuple[int, float, float]] = deque(maxlen=200)
        self._waiting: deque[_Unplaced] = deque()
        world.on_sized = self._place
        super().__init__(mailbox, clock, ask_for_echo)

    def _ignore(self, packet: wire.RtpPacket) -> None:
        self._mailbox.receive("gaze")
        self._mailbox.drop("gaze", BEFORE_REPORT)

    def _take(self, arrival: Arrival) -> None:
        self._mailbox.receive("gaze")
        try:
            self._read(arrival)
        except Exception:
            self._mailbox.drop("gaze", FAILED)
            raise
        self._place()

    def _read(self, arrival: Arrival) -> None:
        """Let a gaze sample wait for its place, or drop it by a cause."""
        captured_at = self._date(arrival.packet.timestamp, arrival.arrived_at)
        try:
            gaze = wire.parse_gaze(arrival.packet.payload)
        except wire.UnknownSize as error:
            self._mailbox.drop("gaze", UNKNOWN_SIZE, captured_at)
            self._say_once(f"{error}: this version of the Companion app is not known, gaze is lost")
            return
        except wire.MalformedPacket:
            self._mailbox.drop("gaze", NO_PLACE, captured_at)
            return
        if captured_at is None:
            self._mailbox.drop("gaze", UNDATED)
            return
        self._follow_worn(gaze.worn)
        self._waiting.append(_Unplaced(captured_at, arrival.arrived_at, gaze))
        if len(self._waiting) > MOST_WAITING:
            self._mailbox.drop("gaze", UNPLACED, self._waiting.popleft().captured_at)

    def _place(self) -> None:
        """Hand in what waited for the size of the frame that it lies in."""
        while self._waiting and not self._world.is_resizing:
            size = self._world.size_at(self._waiting[0].captured_at)
            if size is None:
                return
            entry = self._waiting.popleft()
            try:
                x, y = self._fractions(entry.gaze.x, entry.gaze.y, size)
            except ArithmeticError:
                self._mailbox.drop("gaze", NO_PLACE, entry.captured_at)
                continue
            if entry.gaze.worn and is_place(x, y):
                self.recent.append((entry.captured_at, x, y))
            self._mailbox.hand_in(
                GazeSample(entry.captured_at, entry.arrived_at, x, y, entry.gaze.worn)
            )

    def close(self) -> None:
        super().close()
        while self._waiting:
            self._mailbox.drop("gaze", ENDED, self._waiting.popleft().captured_at)

    def position(self, x: float, y: float, moment: int) -> tuple[float, float] | None:
        """Scene pixels as fractions of the frame of that moment (Unix ns), undistorted if that was
        asked for; None while the frame's size is not known."""
        size = self._world.size_at(moment)
        return None if size is None else self._fractions(x, y, size)

    def _fractions(self, x: float, y: float, size: tuple[int, int]) -> tuple[float, float]:
        if self._lens is not None:
            x, y = self._lens.undistorted(x, y)
        return x / size[0], y / size[1]

    def _follow_worn(self, worn: bool) -> None:
        self._disagreeing = 0 if worn == self.worn else self._disagreeing + 1
        if self._disagreeing == WORN_CHANGE:
            self.worn, self._disagreeing = worn, 0
            self._mailbox.note("the glasses were put on" if worn else "the glasses were taken off")

    def _say_once(self, line: str) -> None:
        if not self._unknown_said:
            self._unknown_said = True
            self._mailbox.note(line)


class EventStream(Stream):
    """Fixations and blinks that the phone itself detects, each known when what it says has been."""

    camera, noun = "eye_events", "eye events"
    patience, held = GAZE_PATIENCE, HELD_GAZE

    def __init__(
        self,
        mailbox: Mailbox,
        clock: Clock,
        ask_for_echo: Callable[[], None],
        gaze: GazeStream,
    ) -> None:
        self._gaze = gaze
        super().__init__(mailbox, clock, ask_for_echo)

    def begin(self, description: Description) -> None:
        super().begin(description)
        self._stamps = EventClock()

    def _ignore(self, packet: wire.RtpPacket) -> None:
        """Events are few, and no count says how many there were."""

    def _take(self, arrival: Arrival) -> None:
        packet, arrived_at = arrival.packet, arrival.arrived_at
        captured_at = self._date(packet.timestamp, arrived_at)
        if captured_at is None or self._offset is None:
            return
        event = wire.parse_event(packet.payload)
        if event.kind == wire.FIXATION_ONSET and event.started is not None:
            self._onset(event.started, captured_at, arrived_at)
        elif event.started is None or event.ended is None:
            return
        elif event.ended - event.started > LONGEST_EVENT:
            raise wire.MalformedPacket("an eye event of hours")
        elif event.kind == wire.FIXATION and event.centre is not None:
            self._fixation(event.started, event.ended, event.centre, captured_at, arrived_at)
        elif event.kind == wire.BLINK:
            self._blink(event.started, event.ended, captured_at, arrived_at)

    def _blink(self, started: int, ended: int, captured_at: int, arrived_at: int) -> None:
        added = self._stamps.added(self._offset, captured_at, started, ended)
        begin, end = started + added, ended + added
        self._mailbox.hand_in(Blink(max(captured_at, end), arrived_at, begin, end))

    def _fixation(
        self,
        started: int,
        ended: int,
        centre: tuple[float, float],
        captured_at: int,
        arrived_at: int,
    ) -> None:
        added = self._stamps.added(self._offset, captured_at, ended)
        known, begin, end = max(captured_at, ended + added), started + added, ended + added
        position = self._gaze.position(*centre, end)
        if position is not None:
            fixation = Fixation(known, arrived_at, *position, begin, end, "device")
            self._mailbox.hand_in(fixation)

    def _onset(self, stamp: int, captured_at: int, arrived_at: int) -> None:
        """The phone does not say where a fixation begins: at the mean of its gaze so far."""
        started = stamp + self._stamps.added(self._offset, captured_at, stamp)
        points = [(x, y) for moment, x, y in self._gaze.recent if moment >= started]
        if not points:
            points = [(x, y) for _, x, y in list(self._gaze.recent)[-1:]]
        if points:
            x = sum(point[0] for point in points) / len(points)
            y = sum(point[1] for point in points) / len(points)
            known = max(captured_at, started)
            self._mailbox.hand_in(Fixation(known, arrived_at, x, y, started, None, "device"))
