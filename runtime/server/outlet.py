"""What waits for one client: bounded, and the newest win."""

from __future__ import annotations

import asyncio
from collections import deque

MOST_WAITING = 256  # messages


class Outlet:
    """Messages in order, and beside them one picture, of which only the newest is worth sending.

    Lives in the server's event loop. `dropped` counts what gave way to something newer.
    """

    def __init__(self, wants_pictures: bool = False, most: int = MOST_WAITING) -> None:
        self.dropped = 0
        self.wants_pictures = wants_pictures
        self._messages: deque[bytes] = deque(maxlen=most)
        self._picture: bytes | None = None
        self._filled = asyncio.Event()

    def put(self, message: bytes) -> None:
        """Add a message; of too many the oldest is dropped."""
        self.dropped += len(self._messages) == self._messages.maxlen
        self._messages.append(message)
        self._filled.set()

    def show(self, picture: bytes) -> None:
        """Replace the picture that waits."""
        self.dropped += self._picture is not None
        self._picture = picture
        self._filled.set()

    async def take(self) -> tuple[list[bytes], bytes | None]:
        """All messages and the picture that wait, as soon as there is either."""
        await self._filled.wait()
        self._filled.clear()
        messages, picture = list(self._messages), self._picture
        self._messages.clear()
        self._picture = None
        return messages, picture
