"""Listening: from sound to what was said to the glasses, at the moment at which it was said."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from devices.bounds import fault
from devices.clock import NANOSECONDS, Clock, SimulatedClock
from devices.complaints import reason
from devices.device import Delivery
from devices.samples import Sound
from runtime.answers.heard import HeardRecord, Said, Standing
from runtime.priority import be_nice
from runtime.voice.mouth import ECHO
from runtime.voice.recognizer import Recognizer
from runtime.voice.segments import SHORTEST, Segmenter, Turn, Utterance
from runtime.voice.understanding import (
    Meaning,
    ends_with_stop,
    heard_words,
    is_stop,
    meaning,
)

STALLED = NANOSECONDS
"""Sound that is so far behind is not waited for."""
LET_GO = NANOSECONDS // 4
"""Without sound for so long since its button was let go, a microphone hears no more."""
LONGEST_HOLD = 4 * NANOSECONDS
"""So long at most steps and alerts wait for what was said to be understood."""
MOST_WAITING = 4
"""Utterances that wait for the recogniser; beyond that they are dropped."""
OWN_PIECE = 2.0
"""Seconds after which its own voice is looked through for a "stop"."""
OWN_VOICE, TOO_LONG, BEHIND = (
    "the glasses' own voice",
    "it is too long for a question",
    "too much was said at once",
)
NOT_HEARD_IN_TIME = "not heard in time"


@dataclass(frozen=True, slots=True)
class Reactions:
    """What hearing sets off besides questions: a record for all, silence at a "stop" or when the
    wearer begins to speak, a repetition, a word of confirmation."""

    tell: Callable[[HeardRecord], None]
    notice: Callable[[str], None] = lambda line: None
    silence: Callable[[], None] = lambda: None
    repeat: Callable[[], None] = lambda: None
    confirm: Callable[[Standing], None] = lambda standing: None
    is_speaking: Callable[[int, int], bool] = lambda begin, end: False


@dataclass(slots=True, eq=False)
class _Pending:
    """An utterance on its way to its meaning."""

    utterance: Utterance
    text: Future[str]
    is_over: bool = False
    silenced: bool = False


class Ears:
    """Fed from one thread; recognises speech in another of its own, or, where time is simulated, at
    once. `full_duplex`: the microphone does not hear the glasses' own voice."""

    def __init__(
        self,
        recognizer: Recognizer,
        clock: Clock,
        reactions: Reactions,
        pause: float = 0.7,
        wake: str | None = None,
        full_duplex: bool = False,
    ) -> None:
        self._recognizer = recognizer
        self._clock = clock
        self._reactions = reactions
        self._wake = wake
        self._full_duplex = full_duplex
        self._segmenter = Segmenter(pause)
        self._pending: deque[_Pending] = deque()
        self._draft: _Pending | None = None
        self._pool = None
        if not isinstance(clock, SimulatedClock):
            self._pool = ThreadPoolExecutor(1, "ears", initializer=be_nice)
        self._certain: deque[tuple[int, int | None]] = deque(maxlen=8)
        self._lock = threading.Lock()
        self.used = 0
        self.dropped: Counter[str] = Counter()

    def hear(self, delivery: Delivery, now: int) -> list[Said]:
        """Take in the sound of a delivery; what became clear by `now` (Unix ns), in order."""
        for sample in delivery.samples:
            if isinstance(sample, Sound):
                self._take(sample, now)
        if delivery.ended or self._is_stalled(now) or self._is_let_go(now):
            self._follow(self._segmenter.finish())
        self._mind_own_voice()
        return self._understood(now)

    def decided_until(self, now: int) -> int:
        """Up to which moment (Unix ns) everything that was said is known, at `now`.

        Speech that lasts has not ended before the last of it that was heard; and what begins now
        can't be over before SHORTEST.
        """
        reached = self._segmenter.reached
        moments = [now]
        if self._pending:
            moments.append(self._pending[0].utterance.ended_at)
        if (voiced := self._segmenter.voiced_until) is not None:
            moments.append(voiced)
        elif reached is not None and not self._is_stalled(now):
            moments.append(reached + round(SHORTEST * NANOSECONDS))
        return max(min(moments), now - LONGEST_HOLD)

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was said waits for its meaning."""
        return not self._pending and self._segmenter.voiced_until is None

    def counts(self) -> tuple[int, Mapping[str, int]]:
        """Pieces of sound that were listened to, and those that were dropped, by cause."""
        return self.used, self.dropped

    def push_to_talk(self, held: bool) -> None:
        """A key goes down or up: what is said meanwhile is for the glasses. Any thread."""
        now = self._clock.now()
        with self._lock:
            if held:
                self._certain.append((now, None))
            elif self._certain and self._certain[-1][1] is None:
                self._certain[-1] = (self._certain[-1][0], now)

    def close(self) -> None:
        """End the thread; what is being understood is waited for, the rest is not."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _take(self, sound: Sound, now: int) -> None:
        if (cause := fault(sound)) is not None:
            self.dropped[cause] += 1
        elif now - sound.captured_at > LONGEST_HOLD:
            self.dropped[NOT_HEARD_IN_TIME] += 1
        else:
            self.used += 1
            self._follow(self._segmenter.feed(sound))

    def _is_stalled(self, now: int) -> bool:
        reached = self._segmenter.reached
        return reached is not None and now - reached > STALLED

    def _is_let_go(self, now: int) -> bool:
        """Whether a button was let go, and the microphone hears only while it is held."""
        with self._lock:
            released = self._certain[-1][1] if self._certain else None
        reached = self._segmenter.reached
        if released is None or reached is None:
            return False
        return reached <= released and now - released > LET_GO

    def _follow(self, turns: list[Turn]) -> None:
        for turn in turns:
            if turn.kind == "resumed":
                self._forget_draft()
            elif turn.utterance is not None:
                self._submit(turn.utterance, is_over=turn.kind == "ended")

    def _forget_draft(self) -> None:
        if self._draft is not None:
            self._draft.text.cancel()
            self._pending.remove(self._draft)
            self._draft = None

    def _submit(self, utterance: Utterance, is_over: bool) -> None:
        """Have it recognised; at its end nothing is new but that it is the end."""
        draft = self._draft
        if draft is not None and draft.utterance.number == utterance.number:
            draft.is_over = is_over
            self._draft = None if is_over else draft
            return
        if len(self._pending) >= MOST_WAITING:
            if is_over:
                self._tell(utterance, "", Meaning("nothing", why=BEHIND))
            return
        pending = _Pending(utterance, self._recognised(utterance), is_over)
        self._pending.append(pending)
        self._draft = None if is_over else pending

    def _recognised(self, utterance: Utterance) -> Future[str]:
        if self._pool is not None:
            return self._pool.submit(self._recognizer.text, utterance.samples, utterance.rate)
        done: Future[str] = Future()
        try:
            done.set_result(self._recognizer.text(utterance.samples, utterance.rate))
        except Exception as error:
            done.set_exception(error)
        return done

    def _mind_own_voice(self) -> None:
        """While the glasses speak: silence them when the wearer speaks, or says so."""
        until = self._segmenter.voiced_until
        if until is None:
            return
        long = self._segmenter.spoken_for
        speaking = self._reactions.is_speaking(until - round(long * NANOSECONDS), until)
        if speaking and self._full_duplex and long > SHORTEST:
            self._reactions.silence()
        elif speaking and not self._full_duplex and long > OWN_PIECE:
            self._follow(self._segmenter.cut())

    def _understood(self, now: int) -> list[Said]:
        """What became clear, in the order in which it was said."""
        for pending in self._pending:
            self._look_for_stop(pending)
        said = []
        while self._pending and self._pending[0].is_over and self._pending[0].text.done():
            pending = self._pending.popleft()
            wish = self._wish(pending)
            if wish is not None:
                said.append(wish)
        return said

    def _look_for_stop(self, pending: _Pending) -> None:
        """ "Stop" is obeyed as soon as it is heard, whatever else may follow."""
        text = pending.text
        if pending.silenced or not text.done() or text.cancelled() or text.exception() is not None:
            return
        if is_stop(text.result()) or (self._is_own(pending) and ends_with_stop(text.result())):
            pending.silenced = True
            self._reactions.silence()

    def _is_own(self, pending: _Pending) -> bool:
        utterance = pending.utterance
        begin, end = utterance.began_at, utterance.ended_at
        if self._is_certain(utterance, from_its_start=True):
            begin += ECHO  # the button silenced the glasses: nothing comes back any more
        return not self._full_duplex and self._reactions.is_speaking(begin, end)

    def _wish(self, pending: _Pending) -> Said | None:
        utterance = pending.utterance
        if (error := pending.text.exception()) is not None:
            self._reactions.notice(f"speech was not understood ({reason(error)})")
            return None
        text = pending.text.result()
        if not text:
            return None
        if pending.silenced:
            found = Meaning("stop")
        elif self._is_own(pending):
            found = Meaning("nothing", why=OWN_VOICE)
        elif utterance.too_long:
            found = Meaning("nothing", why=TOO_LONG)
        else:
            found = meaning(text, self._wake, self._is_certain(utterance))
        self._tell(utterance, text, found)
        if found.taken_as == "again":
            self._reactions.repeat()
        if isinstance(found.wish, Standing):
            self._reactions.confirm(found.wish)
        if found.wish is None:
            return None
        heard = heard_words(text, utterance.began_at, utterance.ended_at)
        return Said(heard, found.wish)

    def _is_certain(self, utterance: Utterance, from_its_start: bool = False) -> bool:
        last = utterance.began_at if from_its_start else utterance.ended_at
        with self._lock:
            return any(
                begin <= last and (end is None or end >= utterance.began_at)
                for begin, end in self._certain
            )

    def _tell(self, utterance: Utterance, text: str, found: Meaning) -> None:
        self._reactions.tell(
            HeardRecord(
                text=text,
                began_at=utterance.began_at,
                ended_at=utterance.ended_at,
                understood_at=self._clock.now(),
                taken_as=found.taken_as,
                why=found.why,
            )
        )
