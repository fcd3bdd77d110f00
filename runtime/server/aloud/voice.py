"""The voice of a browser: pages that were allowed to speak are given one piece after the other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from runtime.server.outlet import Outlet

LONGEST = 60.0
"""Seconds after which a page that has not said that it is done is not waited for."""
LOOK = 0.02


@dataclass(slots=True, eq=False)
class _Utterance:
    number: int
    waiting: set[Outlet]
    whole: bool = True
    over: threading.Event = field(default_factory=threading.Event)


class PageVoice:
    """A voice for a mouth (`runtime.voice.mouth.Voice`), whose `say` may be called from any one
    thread; all else is called in the server's event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._pages: set[Outlet] = set()
        self._number = 0
        self._present: _Utterance | None = None

    def allow(self, page: Outlet, speaks: bool) -> None:
        """A person wants this page to speak, or to be silent."""
        self._loop = asyncio.get_running_loop()
        with self._lock:
            self._pages = self._pages | {page} if speaks else self._pages - {page}
        if not speaks:
            self._done(page, whole=False)

    def spoken(self, page: Outlet, number: int, whole: bool) -> None:
        """A page has spoken, or was silenced before all was said."""
        if self._present is not None and self._present.number == number:
            self._done(page, whole)

    def say(self, text: str, silenced: threading.Event) -> bool | None:
        """Have it spoken by all pages that may, and return when they have: whether all of it was;
        None where no page may."""
        with self._lock:
            if not self._pages:
                return None
            self._number += 1
            said = self._present = _Utterance(self._number, set(self._pages))
            pages = tuple(self._pages)
        self._tell(pages, {"type": "speak", "id": said.number, "text": text})
        end = time.monotonic() + LONGEST
        while not said.over.wait(LOOK):
            if silenced.is_set() or time.monotonic() > end:
                self._tell(pages, {"type": "hush"})
                return False
        return said.whole

    def _done(self, page: Outlet, whole: bool) -> None:
        with self._lock:
            said = self._present
            if said is None or page not in said.waiting:
                return
            said.waiting.remove(page)
            said.whole = said.whole and whole
            if not said.waiting:
                said.over.set()

    def _tell(self, pages: Iterable[Outlet], message: dict[str, object]) -> None:
        encoded = msgspec.json.encode(message)

        def put() -> None:
            for page in pages:
                page.put(encoded)

        if self._loop is not None:
            with suppress(RuntimeError):  # the server has closed
                self._loop.call_soon_threadsafe(put)
