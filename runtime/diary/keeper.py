"""Keeps the diary of a live run: codes fixations when the decoder is idle, writes on a thread.

The decoder hands over the encoded steps in which fixations came to count, and lends its time, one
run of a graph at a time, when nothing else waits for it. What does not get its turn is dropped,
the oldest first, and counted.
"""

from __future__ import annotations

import argparse
import io
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from devices.samples import Fixation
from runtime.answers.aside import Recollection
from runtime.answers.listeners import News
from runtime.answers.questions import Question
from runtime.answers.record import AlertRecord, AnswerRecord
from runtime.coding.coder import Coder, Decision, Pieces
from runtime.coding.pictures import QUALITY, crop
from runtime.coding.question import NONE_LISTED, THRESHOLD, CodingQuestion, listed_things
from runtime.diary.search import recall
from runtime.diary.store import MIB, Diary, DiaryError, Entry, Saying
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.stream.steps import Step

MOST_WAITING = 16  # steps of fixations that wait to be coded
MOST_UNWRITTEN = 256
REMEMBERED = 64  # onsets of fixations that were taken


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    fixation: Fixation
    step: Step


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    waiting: _Waiting
    decision: Decision


class DiaryKeeper:
    """`offer`, `work` belong to the decoder's thread, `hear` to any, `close` to the main one."""

    def __init__(
        self,
        diary: Diary,
        coder: Coder,
        threshold: float,
        pictures: bool,
        notice: Callable[[str], None],
        memory: Diary,
        horizon: float,
        heard: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        """`threshold`: a name less probable is not written, the fixation is. `memory`: the same
        diary, to read; `horizon`: seconds of the past that the model itself remembers.
        `heard` hears of each entry that was written, in the diary's own thread."""
        self._heard = heard
        self._memory = memory
        self._horizon = horizon
        self.dropped = 0
        self._diary = diary
        self._coder = coder
        self._threshold = threshold
        self._pictures = pictures
        self._notice = notice
        self._waiting: deque[_Waiting] = deque()
        self._taken: deque[int] = deque(maxlen=REMEMBERED)
        self._now: tuple[_Waiting, Pieces] | None = None
        self._unwritten: queue.Queue[_Coded | Saying | None] = queue.Queue(MOST_UNWRITTEN)
        self._writer = threading.Thread(target=self._write_all, name="diary", daemon=True)
        self._writer.start()

    def offer(self, step: Step) -> None:
        """Take what a step shows that was not taken yet."""
        for fixation in step.plan.gaze.fixations:
            if fixation.started_at in self._taken:
                continue
            self._taken.append(fixation.started_at)
            self._waiting.append(_Waiting(fixation, step))
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self.dropped += 1

    def work(self) -> bool:
        """Run one graph, if there is anything to code; whether there was."""
        if self._now is None:
            if not self._waiting:
                return False
            waiting = self._waiting.popleft()
            self._now = waiting, self._coder.pieces(waiting.step)
        waiting, pieces = self._now
        try:
            next(pieces)
        except StopIteration as ended:
            self._now = None
            self._put(_Coded(waiting, ended.value))
        except RuntimeFault:
            self._now = None
            self.dropped += 1
        return True

    def recall(self, question: Question, moment: int) -> Recollection | None:
        """What the diary says about the time before the window."""
        try:
            found = recall(self._memory, question.text, question.options, moment, self._horizon)
        except sqlite3.Error:  # it is being made smaller, or its disk is gone
            return None
        return None if found is None else Recollection(found.letter or found.text, found.basis)

    def hear(self, news: News) -> None:
        """Write down answers and alerts."""
        if isinstance(news, AlertRecord):
            self._put(Saying(news.raised_at, "alert", news.alert, None))
        elif isinstance(news, AnswerRecord) and news.answer is not None:
            letters = dict(zip("ABCDEFGH", news.options, strict=False))
            answer = letters.get(news.answer, news.answer)
            self._put(Saying(news.asked_at, "answer", news.question, answer))

    def close(self) -> None:
        """Write what is coded, and say what was not."""
        self._unwritten.put(None)
        self._writer.join()
        lost = self.dropped + len(self._waiting) + (self._now is not None)
        if lost:
            self._notice(f"diary: {lost} fixations were not coded, because the decoder was busy")
        self._diary.close()
        self._memory.close()

    def _put(self, what: _Coded | Saying) -> None:
        try:
            self._unwritten.put_nowait(what)
        except queue.Full:
            self.dropped += 1

    def _write_all(self) -> None:
        broken = False
        while (what := self._unwritten.get()) is not None:
            try:
                if not broken:
                    self._write(what)
            except DiaryError as error:
                broken = True
                self._notice(f"{error}: from here on the diary is not kept")

    def _write(self, what: _Coded | Saying) -> None:
        if isinstance(what, Saying):
            self._diary.say(what)
            return
        fixation, step = what.waiting.fixation, what.waiting.step
        decision = what.decision
        is_sure = decision.thing is not None and decision.confidence >= self._threshold
        thing = decision.thing if is_sure and decision.thing != NONE_LISTED else ""
        self._diary.end(fixation.started_at - 1, fixation.started_at)
        entry = Entry(
            0,
            fixation.started_at,
            fixation.ended_at,
            step.plan.pair.newer_at,
            thing or "",
            decision.confidence,
            fixation.x,
            fixation.y,
        )
        self._diary.add(entry, self._picture(fixation, step) if self._pictures else None)
        self._heard(entry)

    @staticmethod
    def _picture(fixation: Fixation, step: Step) -> bytes:
        content = io.BytesIO()
        cut = crop(step.plan.pair.newer, fixation.x, fixation.y)
        cut.save(content, "JPEG", quality=QUALITY)
        return content.getvalue()


def open_keeper(
    options: argparse.Namespace,
    models: Models,
    window: float,
    notice: Callable[[str], None],
    heard: Callable[[Entry], None],
) -> DiaryKeeper:
    """As the command line of the live run says; `window`: seconds that the model remembers; `heard`
    hears of each entry.

    Raises RuntimeFault.
    """
    things = () if options.diary_things is None else listed_things(options.diary_things)
    settings = models.bundle.manifest.settings
    coder = Coder(models, (settings.live_height, settings.live_width), CodingQuestion(things))
    diary = Diary(options.diary, round(options.diary_limit * MIB))
    pictures = options.diary_pictures == "yes"
    memory = Diary(options.diary)
    return DiaryKeeper(diary, coder, THRESHOLD, pictures, notice, memory, window, heard)
