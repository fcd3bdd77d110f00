"""What is fetched: the page's files, thumbnails, the history, records as they come, health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
from aiohttp import web

from runtime.server.hub import Hub
from runtime.server.outlet import Outlet
from runtime.server.security import Places

PAGE = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
SILENCE = 15.0  # seconds after which a stream of events says that it lives
STALLED = 3.0  # seconds without news, after which the run is not well


class Fetched:
    """The handlers."""

    def __init__(
        self, hub: Hub, places: Places, about: dict[str, object], now: Callable[[], int]
    ) -> None:
        self._hub, self._places, self._about, self._now = hub, places, about, now
        self._files = {path.name: path for path in PAGE.iterdir() if path.suffix in TYPES}

    def routes(self) -> list[web.RouteDef]:
        """Where each is found."""
        return [
            web.get("/", self.file),
            web.get("/page/{name}", self.file),
            web.get("/health", self.health),
            web.get("/events", self.events),
            web.get("/history.jsonl", self.history),
            web.get("/steps", self.steps),
            web.get("/steps/{frame_at}.jpg", self.thumbnail),
        ]

    async def file(self, request: web.Request) -> web.Response:
        """A file of the page; no other name leads anywhere."""
        path = self._files.get(request.match_info.get("name", "index.html"))
        if path is None:
            raise web.HTTPNotFound
        return web.Response(
            body=path.read_bytes(), content_type=TYPES[path.suffix], charset="utf-8"
        )

    async def health(self, request: web.Request) -> web.Response:
        """Whether the run is well: 200, or 503 where nothing has happened for seconds."""
        second = self._hub.second
        age = None if second is None else (self._now() - second.at) / 1e9
        well = age is not None and age < STALLED
        told = {"status": "ok" if well else "waiting", "seconds_since_news": age, **self._about}
        return web.json_response(told, status=200 if well else 503)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Every record as it is written, as server-sent events."""
        if not self._places.take():
            raise web.HTTPServiceUnavailable(reason="too many streams are open: close one")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        outlet = Outlet()
        try:
            await response.prepare(request)
            self._hub.attach(outlet)
            while True:
                try:
                    messages, _ = await asyncio.wait_for(outlet.take(), SILENCE)
                except asyncio.TimeoutError:
                    await response.write(b": nothing new\n\n")
                    continue
                for message in messages:
                    said = msgspec.json.decode(message, type=dict[str, msgspec.Raw])
                    if bytes(said["type"]) == b'"record"':
                        await response.write(b"data: " + bytes(said["record"]) + b"\n\n")
        except ConnectionError:
            return response
        finally:
            self._places.give_back()
            self._hub.detach(outlet)

    async def history(self, request: web.Request) -> web.Response:
        """Answers and alerts so far, as JSON lines."""
        lines = b"".join(record + b"\n" for record in self._hub.history)
        named = {"Content-Disposition": 'attachment; filename="gazeqwen.jsonl"'}
        return web.Response(body=lines, content_type="application/x-ndjson", headers=named)

    async def steps(self, request: web.Request) -> web.Response:
        """The steps that are kept, for the time line."""
        return web.json_response(self._hub.steps.listed())

    async def thumbnail(self, request: web.Request) -> web.Response:
        """What a step showed; 204, no error, where no picture of it is kept (any more)."""
        told = request.match_info["frame_at"]
        if not (told.isascii() and told.isdecimal() and len(told) < 20):
            raise web.HTTPNotFound
        step = await self._hub.kept(int(told))
        if step is None:
            return web.Response(status=204)
        return web.Response(body=step.picture, content_type="image/jpeg")
