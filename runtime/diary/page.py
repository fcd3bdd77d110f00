"""What the page of a live run fetches of its diary, for the time line."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from runtime.diary.store import Diary, DiaryError

MOST = 300  # entries that are told at a time
LONGEST_NUMBER = 18  # digits

Told = TypeVar("Told")


class DiaryPage:
    """The handlers. Each opens the diary anew, to read: SQLite lets readers and a writer be."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def routes(self) -> list[web.RouteDef]:
        """Where each is found."""
        return [web.get("/diary", self.listed), web.get("/diary/{number}.jpg", self.picture)]

    async def listed(self, request: web.Request) -> web.Response:
        """The newest entries from number `after` on, and what was said since the first of them.

        Moments in Unix ms, as browsers count.
        """
        after = _number(request.query.get("after", "0"))
        return web.json_response(await self._read(lambda diary: _listed(diary, after)))

    async def picture(self, request: web.Request) -> web.Response:
        """The picture of an entry."""
        number = _number(request.match_info["number"])
        content = await self._read(lambda diary: diary.picture(number))
        if content is None:
            raise web.HTTPNotFound
        return web.Response(body=content, content_type="image/jpeg")

    async def _read(self, work: Callable[[Diary], Told]) -> Told:
        def opened() -> Told:
            diary = Diary(self._path)
            try:
                return work(diary)
            finally:
                diary.close()

        try:
            return await asyncio.to_thread(opened)
        except (sqlite3.Error, DiaryError) as error:
            raise web.HTTPServiceUnavailable(reason="the diary can't be read now") from error


def _listed(diary: Diary, after: int) -> dict[str, object]:
    entries = diary.newest(after, MOST)
    sayings = diary.sayings(entries[0].at) if entries else ()
    return {
        "entries": [
            {
                "number": each.number,
                "at": each.at / 1e6,
                "ended_at": None if each.ended_at is None else each.ended_at / 1e6,
                "thing": each.thing,
                "confidence": each.confidence,
            }
            for each in entries
        ],
        "sayings": [
            {"at": each.at / 1e6, "kind": each.kind, "text": each.text, "answer": each.answer}
            for each in sayings
        ],
    }


def _number(told: str) -> int:
    if not (told.isascii() and told.isdecimal() and len(told) <= LONGEST_NUMBER):
        raise web.HTTPNotFound
    return int(told)
