"""Listens to a run for Rerun: a bounded queue, and a thread that draws.

Nothing waits for it in real time: of pictures and of all else the oldest give way and are counted.
A run that is played fast waits instead, so that its recording is whole.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable

from devices.device import Delivery, DeviceInfo
from devices.samples import GazeSample, SceneFrame
from runtime.answers.listeners import Judgement, News, Seen
from runtime.answers.record import AnswerRecord
from runtime.viewer.drawing import Drawing, Look, check_target, open_stream

MOST = {"pictures": 8, "other news": 4096}
GLANCE = 0.1  # seconds between two looks at whether the thread still draws
Shown = SceneFrame | GazeSample | Seen | Judgement | AnswerRecord | Look


class RerunListener:
    """`delivered`, `hear` and `look` may be called from any thread; `close` once, at the end."""

    def __init__(
        self,
        drawing: Drawing,
        grid: tuple[int, int],
        waits: bool,
        notice: Callable[[str], None],
    ) -> None:
        """`grid`: rows and columns of a step's tokens; `waits`: whether the run waits for it;
        `notice` hears of trouble."""
        self._drawing, self._grid = drawing, grid
        self._waits, self._notice = waits, notice
        self._waiting: dict[str, deque[Shown]] = {kind: deque() for kind in MOST}
        self._dropped: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._draw_all, name="rerun", daemon=True)
        self._thread.start()

    def delivered(self, delivery: Delivery) -> None:
        """The device delivered something."""
        for sample in delivery.samples:
            if isinstance(sample, SceneFrame):
                self._put("pictures", sample)
            elif isinstance(sample, GazeSample):
                self._put("other news", sample)

    def hear(self, news: News) -> None:
        """Something happened in the run."""
        if isinstance(news, Seen | Judgement | AnswerRecord):
            self._put("other news", news)

    def look(self, look: Look) -> None:
        """The diary named a look."""
        self._put("other news", look)

    def close(self) -> None:
        """Draw what waits, and say what was given up."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._thread.join()
        if lost := ", ".join(f"{count} {kind}" for kind, count in self._dropped.items()):
            self._notice(f"rerun: {lost} gave way to newer, because drawing was slower")

    def _put(self, kind: str, shown: Shown) -> None:
        with self._changed:
            waiting = self._waiting[kind]
            while self._waits and len(waiting) >= MOST[kind] and self._thread.is_alive():
                self._changed.wait(GLANCE)
            if len(waiting) >= MOST[kind]:
                waiting.popleft()
                self._dropped[kind] += 1
            waiting.append(shown)
            self._changed.notify_all()

    def _taken(self) -> list[Shown] | None:
        """All that waits; None once the run is over and nothing does."""
        with self._changed:
            while not any(self._waiting.values()):
                if self._is_over:
                    return None
                self._changed.wait()
            taken = [shown for waiting in self._waiting.values() for shown in waiting]
            for waiting in self._waiting.values():
                waiting.clear()
            self._changed.notify_all()
            return taken

    def _draw_all(self) -> None:
        try:
            while (taken := self._taken()) is not None:
                for shown in taken:
                    self._draw(shown)
            self._drawing.close()
        except Exception as error:  # of a library that is not ours: the run goes on without it
            self._notice(f"rerun: {type(error).__name__}: {error}: from here on nothing is drawn")

    def _draw(self, shown: Shown) -> None:
        match shown:
            case SceneFrame():
                self._drawing.frame(shown)
            case GazeSample():
                self._drawing.gaze(shown)
            case Seen():
                self._drawing.step(shown, self._grid)
            case Judgement():
                self._drawing.judgement(shown)
            case Look():
                self._drawing.look(shown)
            case _:
                self._drawing.answer(shown)


def open_listener(
    target: str,
    info: DeviceInfo,
    grid: tuple[int, int],
    waits: bool,
    notice: Callable[[str], None],
) -> RerunListener:
    """For a run with a device; `target`: a file, or "connect". Raises RuntimeFault."""
    check_target(target)
    stream = open_stream(target)
    drawing = Drawing(stream, info.frame_width, info.frame_height)
    return RerunListener(drawing, grid, waits, notice)
