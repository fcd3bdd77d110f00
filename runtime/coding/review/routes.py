"""What the page fetches and sends. All is JSON, but for pictures and the page's own files."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import msgspec
from aiohttp import web

from devices.device import DeviceError
from devices.printable import printable
from runtime.coding.ledger import CodingError
from runtime.coding.question import NONE_LISTED
from runtime.coding.review.agreement import agreement
from runtime.coding.review.corrections import thing_name
from runtime.coding.review.folder import Item, ReviewFolder
from runtime.server.routes import PAGE as SERVERS
from runtime.server.routes import TYPES

PAGE = Path(__file__).parent / "page"
OWN = ("review.html", "review.css", "review.js")
SHARED = "style.css"
LONGEST = 1000  # characters of a line


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """What a page says of a fixation. `thing`: empty for unsure."""

    number: int
    thing: str


class Reviewed:
    """The handlers. `heard` hears that something was corrected."""

    def __init__(self, folder: ReviewFolder, heard: Callable[[], None]) -> None:
        self._folder, self._heard = folder, heard
        self._files = {name: PAGE / name for name in OWN} | {SHARED: SERVERS / SHARED}
        self._decoding = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Where each is found."""
        return [
            web.get("/", self.file),
            web.get("/page/{name}", self.file),
            web.get("/fixations", self.fixations),
            web.get("/fixations/{number}.jpg", self.picture),
            web.get("/frames/{number}.jpg", self.frame),
            web.get("/agreement", self.agreement),
            web.post("/corrections", self.correct),
        ]

    async def file(self, request: web.Request) -> web.Response:
        """A file of the page; no other name leads anywhere."""
        path = self._files.get(request.match_info.get("name", OWN[0]))
        if path is None:
            raise web.HTTPNotFound
        return web.Response(
            body=path.read_bytes(), content_type=TYPES[path.suffix], charset="utf-8"
        )

    async def fixations(self, request: web.Request) -> web.Response:
        """Every fixation, and the things to choose from."""
        folder = self._folder
        listed = dict.fromkeys(thing for each in folder.codings for thing in each.conditions.things)
        named = Counter(item.fixation.thing for item in folder.items)
        more = [
            thing for thing, _ in named.most_common() if thing not in (*listed, NONE_LISTED, "")
        ]
        return web.json_response(
            {
                "things": [*listed, *more],
                "none": NONE_LISTED,
                "fixations": [self._told(item) for item in folder.items],
            }
        )

    async def correct(self, request: web.Request) -> web.Response:
        """Write a correction; the answer comes when it is on the disk."""
        try:
            said = msgspec.json.decode(await request.read(), type=Said)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise web.HTTPBadRequest(reason="a correction has a number and a thing") from error
        if not 0 <= said.number < len(self._folder.items):
            raise web.HTTPNotFound
        try:
            item = await asyncio.to_thread(
                self._folder.correct, said.number, thing_name(said.thing)
            )
        except CodingError as error:
            raise web.HTTPInsufficientStorage(reason=printable(str(error), LONGEST)) from error
        self._heard()
        return web.json_response(self._told(item))

    async def agreement(self, request: web.Request) -> web.Response:
        """How far the person agrees with what was proposed, over what she has checked."""
        try:
            found = await asyncio.to_thread(agreement, *self._folder.checked())
        except CodingError as error:
            return web.json_response({"trouble": str(error)})
        return web.json_response(asdict(found))

    async def picture(self, request: web.Request) -> web.Response:
        """What lies around gaze."""
        return await self._jpeg(request, self._folder.picture)

    async def frame(self, request: web.Request) -> web.Response:
        """The whole frame."""
        async with self._decoding:
            return await self._jpeg(request, self._folder.frame)

    async def _jpeg(
        self, request: web.Request, draw: Callable[[int], bytes | None]
    ) -> web.Response:
        told = request.match_info["number"]
        is_number = told.isascii() and told.isdecimal() and len(told) < 10
        if not is_number or int(told) >= len(self._folder.items):
            raise web.HTTPNotFound
        try:
            content = await asyncio.to_thread(draw, int(told))
        except (DeviceError, OSError) as error:
            raise web.HTTPNotFound from error
        if content is None:
            raise web.HTTPNotFound
        return web.Response(body=content, content_type="image/jpeg")

    def _told(self, item: Item) -> dict[str, object]:
        each, coding = item.fixation, self._folder.codings[item.recording]
        return {
            "recording": coding.source.name,
            "name": each.row.name,
            "at": (each.row.started_at - coding.source.read.start) / 1e9,
            "milliseconds": each.milliseconds,
            "x": each.row.x,
            "y": each.row.y,
            "thing": each.thing,
            "proposal": each.proposal,
            "confidence": each.code.confidence,
            "chances": each.code.chances,
            "trouble": each.code.trouble,
            "checked": each.is_corrected,
        }
