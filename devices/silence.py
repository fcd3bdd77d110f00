"""Streams that fall silent: they are noticed, and time goes on without them."""

from __future__ import annotations

from devices.clock import NANOSECONDS
from devices.mailbox import Mailbox, Stream

LIMIT = 0.35
"""Seconds without a sample after which a stream is said to have stalled."""


class SilenceWatch:
    """Looks at the streams of one device, several times a second."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._silent_since: dict[Stream, int] = {}

    def look(self, stream: Stream, noun: str, heard_at: int, dated_at: int, now: int) -> bool:
        """Compare the times (Unix ns) at which a stream last brought anything, and anything that
        had a capture time, with the present. Returns True when it has just come back."""
        limit = round(LIMIT * NANOSECONDS)
        if now - dated_at > limit:
            # Who waits for this stream must not wait for what may never come.
            self._mailbox.finish(stream, now - limit)
        if now - heard_at > limit:
            if stream not in self._silent_since:
                self._silent_since[stream] = heard_at
                self._mailbox.note(f"{noun}: no data for {LIMIT:g} s")
            return False
        since = self._silent_since.pop(stream, None)
        if since is not None:
            silence = (heard_at - since) / NANOSECONDS
            self._mailbox.note(f"{noun}: data again after {silence:.1f} s")
        return since is not None
