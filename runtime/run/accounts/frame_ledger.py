"""What became of every frame that a device delivered."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from devices.mailbox import ENDED

RECENT = 512  # frames whose fate may still change


@dataclass(slots=True)
class _Frame:
    """A delivered frame, and why it is passed over if it is."""

    captured_at: int
    cause: str


class FrameLedger:
    """What became of every delivered frame: encoded, or passed over for a newer one."""

    def __init__(self) -> None:
        self.encoded = 0
        self.dropped: Counter[str] = Counter()
        self._waiting: deque[_Frame] = deque()
        self._passed: deque[_Frame] = deque(maxlen=RECENT)

    def arrive(self, captured_at: int, cause: str) -> None:
        """A frame was delivered; `cause`: why it is passed over, if it comes to that."""
        self._waiting.append(_Frame(captured_at, cause))

    def blame(self, captured_at: int, cause: str) -> None:
        """If the frame is passed over, it is because of this."""
        for frame in reversed(self._waiting):
            if frame.captured_at <= captured_at:
                if frame.captured_at == captured_at:
                    frame.cause = cause
                return

    def encode(self, captured_at: int) -> None:
        """A frame was encoded: it no longer waits, nor do those before it."""
        for frame in self._passed:
            if frame.captured_at == captured_at:  # dropped, then wanted by a step after all
                self._passed.remove(frame)
                self.dropped[frame.cause] -= 1
                self.encoded += 1
                break
        while self._waiting and self._waiting[0].captured_at <= captured_at:
            frame = self._waiting.popleft()
            if frame.captured_at == captured_at:
                self.encoded += 1
            else:
                self._passed.append(frame)
                self.dropped[frame.cause] += 1

    def close(self) -> None:
        """The run is over: what still waits is not encoded any more."""
        self.dropped[ENDED] += len(self._waiting)
        self._waiting.clear()
