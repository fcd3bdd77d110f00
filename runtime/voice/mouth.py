"""Speaking: text through a program that the user has, one piece after the other, until silenced."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from devices.clock import NANOSECONDS, Clock
from devices.complaints import reason
from devices.printable import printable
from runtime.answers.heard import SpokenRecord, Why
from runtime.voice.recognizer import SpeechUnavailable

DEFAULTS = (("espeak-ng", "--stdin"), ("spd-say", "--wait", "--pipe-mode"))
LONGEST_TEXT = 1000
"""Characters of one piece."""
LONGEST_SPEECH = 60.0
"""Seconds after which a program that speaks is ended."""
MOST_WAITING = 16
ECHO = NANOSECONDS * 4 // 10
"""So long after its end its own voice may still come back."""
LOOK = 0.02


class Voice(Protocol):
    """What makes text audible."""

    def say(self, text: str, silenced: threading.Event) -> bool | None:
        """Speak, and return when that is over: whether all of it was spoken; None where nobody was
        there to speak it. Raises OSError."""
        ...


def speaking_command(given: str | None) -> tuple[str, ...]:
    """The program that speaks, with its arguments. Raises SpeechUnavailable."""
    if given is None:
        for command in DEFAULTS:
            if shutil.which(command[0]):
                return command
        names = " nor ".join(command[0] for command in DEFAULTS)
        raise SpeechUnavailable(
            f"--speak finds neither {names}: install one, or give --speak-with COMMAND"
        )
    return _program("--speak-with", given)


def writing_command(given: str | None) -> tuple[str, ...] | None:
    """The program that speaks its standard input as WAV on its standard output, with its arguments;
    None where none is given and espeak-ng is not there. Raises SpeechUnavailable."""
    if given is not None:
        return _program("--speech-wav", given)
    return ("espeak-ng", "--stdin", "--stdout") if shutil.which("espeak-ng") else None


def _program(option: str, given: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(given))
    except ValueError as error:
        raise SpeechUnavailable(f"{option} {given!r}: {error}") from None
    if not words or shutil.which(words[0]) is None:
        raise SpeechUnavailable(f"{option} {given!r}: there is no such program")
    return words


class CommandVoice:
    """A program that speaks what comes on its standard input and ends when it has."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    def say(self, text: str, silenced: threading.Event) -> bool:
        with subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that silence reaches what it starts, too
        ) as running:
            with suppress(BrokenPipeError):
                running.stdin.write(text.encode() + b"\n")
            with suppress(BrokenPipeError):
                running.stdin.close()
            end = time.monotonic() + LONGEST_SPEECH
            while running.poll() is None:
                if silenced.wait(LOOK) or time.monotonic() > end:
                    with suppress(ProcessLookupError):
                        os.killpg(running.pid, signal.SIGKILL)
                    running.wait()
                    return False
            if running.returncode:
                raise OSError(f"{self._command[0]} ends with status {running.returncode}")
            return True


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    why: Why


class Mouth:
    """Says what it is given in order, in a thread of its own. Its methods never block.

    `tell` hears what was really spoken; `dropped` counts what was not, since too much waited.
    """

    def __init__(
        self,
        voice: Voice,
        clock: Clock,
        tell: Callable[[SpokenRecord], None],
        notice: Callable[[str], None],
    ) -> None:
        self._voice = voice
        self._clock = clock
        self._tell = tell
        self._notice = notice
        self._waiting: deque[_Piece] = deque()
        self._changed = threading.Condition()
        self._silenced = threading.Event()
        self._present: _Piece | None = None
        self._spans: deque[tuple[int, int | None]] = deque(maxlen=64)
        self._failed = False
        self._is_closed = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="mouth", daemon=True)
        self._thread.start()

    def say(self, text: str, why: Why) -> None:
        """Say something when what was given before is said."""
        piece = _Piece(printable(text, LONGEST_TEXT), why)
        if not piece.text.strip():
            return
        with self._changed:
            self._waiting.append(piece)
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._changed.notify()

    def cut_in(self, text: str) -> None:
        """Say an alert now; what is being said is broken off, and said anew afterwards."""
        with self._changed:
            alert = _Piece(printable(text, LONGEST_TEXT), "alert")
            if self._present is not None and self._present.why != "alert":
                self._waiting.appendleft(self._present)
                self._silenced.set()
            place = sum(piece.why == "alert" for piece in self._waiting)
            self._waiting.insert(place, alert)
            self._changed.notify()

    def silence(self) -> None:
        """Be silent at once, and forget what waits."""
        with self._changed:
            self._waiting.clear()
            if self._present is not None:
                self._silenced.set()

    def is_speaking(self, begin: int, end: int) -> bool:
        """Whether its voice may be in what was captured from `begin` to `end` (Unix ns)."""
        with self._changed:
            return any(
                began <= end and (ended is None or ended + ECHO >= begin)
                for began, ended in self._spans
            )

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being said and nothing waits."""
        with self._changed:
            return self._present is None and not self._waiting

    def close(self) -> None:
        """Let what waits be said, for a few seconds at most, and end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(LONGEST_SPEECH / 10)
        self.silence()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if not self._waiting:
                    return
                piece = self._present = self._waiting.popleft()
                self._silenced.clear()
                began_at = self._clock.now()
                self._spans.append((began_at, None))
            whole = self._spoken(piece)
            with self._changed:
                self._present = None
                ended_at = self._clock.now()
                self._spans[-1] = (began_at, ended_at)
            if whole is not None:
                self._tell(SpokenRecord(piece.text, piece.why, began_at, ended_at, whole))

    def _spoken(self, piece: _Piece) -> bool | None:
        """Whether all of it was spoken; None where none was."""
        try:
            return self._voice.say(piece.text, self._silenced)
        except OSError as error:
            if not self._failed:
                self._failed = True
                self._notice(f"speaking failed ({reason(error)}): going on")
            return None
