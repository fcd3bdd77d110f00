"""`GET /live`: the page's WebSocket. Pictures go out as binary messages, all else as JSON.

What a page says: {"do": "ask", "id", "text", "options", "compares"}, {"do": "withdraw", "id"},
{"do": "alert", "text", "threshold"}, {"do": "silence", "text"}, {"do": "talk", "held"}: a button
goes down or up, and what is said meanwhile is for the glasses; with its "rate" in Hz, binary
messages are what the page's microphone hears meanwhile (`aloud/microphone.py`). {"do": "aloud",
"held"}: the page may speak; it is told {"type": "speak", "id", "text"} and {"type": "hush"}, and
says {"do": "spoken", "id", "whole"}.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Literal

import msgspec
from aiohttp import WSMsgType, web

from runtime.answers.questions import Question
from runtime.errors import QuestionError
from runtime.server.aloud.microphone import BadSound
from runtime.server.aloud.voice import PageVoice
from runtime.server.desk import Busy, Desk
from runtime.server.hub import Hub
from runtime.server.outlet import Outlet
from runtime.server.security import Places

MOST_MESSAGE = 64 << 10  # bytes
MOST_ASKED = 8  # questions of one page at a time


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """What a page says."""

    do: Literal["ask", "withdraw", "alert", "silence", "talk", "aloud", "spoken"]
    id: int = 0
    text: str = ""
    options: list[str] = []
    compares: bool = False
    threshold: float | None = None
    held: bool = False
    rate: int | None = None
    whole: bool = True


class LiveSocket:
    """Serves pages, so many at a time as there are `places`."""

    def __init__(
        self, hub: Hub, desk: Desk, places: Places, about: dict[str, Any], voice: PageVoice
    ) -> None:
        """`about`: what is the same for the whole run, told to a page first."""
        self._hub, self._desk, self._places, self._about = hub, desk, places, about
        self._voice = voice

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One page, until it leaves."""
        if not self._places.take():
            raise web.HTTPServiceUnavailable(reason="too many pages are open: close one")
        page = web.WebSocketResponse(max_msg_size=MOST_MESSAGE, heartbeat=20.0, compress=False)
        outlet = Outlet(wants_pictures=True)
        asked: dict[int, asyncio.Task[None]] = {}
        sending = None
        try:
            await page.prepare(request)
            outlet.put(msgspec.json.encode({"type": "about", **self._about}))
            outlet.put(msgspec.json.encode(self._desk.told_alerts()))
            past = [msgspec.Raw(record) for record in self._hub.history]
            outlet.put(msgspec.json.encode({"type": "history", "records": past}))
            self._hub.attach(outlet)
            sending = asyncio.create_task(self._send(page, outlet))
            async for message in page:
                if message.type is WSMsgType.BINARY:
                    self._listen(message.data, outlet)
                elif message.type is WSMsgType.TEXT:
                    self._hear(message.data, outlet, asked)
                else:
                    break
        finally:
            self._places.give_back()
            self._hub.detach(outlet)
            self._desk.talk(outlet, held=False)
            self._voice.allow(outlet, speaks=False)
            for task in (*asked.values(), *((sending,) if sending else ())):
                task.cancel()
        return page

    @staticmethod
    async def _send(page: web.WebSocketResponse, outlet: Outlet) -> None:
        with suppress(ConnectionError):
            while not page.closed:
                messages, picture = await outlet.take()
                for message in messages:
                    await page.send_str(message.decode())
                if picture is not None:
                    await page.send_bytes(picture)

    def _listen(self, sound: bytes, outlet: Outlet) -> None:
        try:
            self._desk.hear(outlet, sound)
        except BadSound as error:
            self._refuse(outlet, 0, str(error))

    def _hear(self, text: str, outlet: Outlet, asked: dict[int, asyncio.Task[None]]) -> None:
        number = 0
        try:
            said = msgspec.json.decode(text, type=Said)
            number = said.id
            if said.do == "ask":
                if len(asked) >= MOST_ASKED or number in asked:
                    raise Busy("your last questions are not answered yet")
                asked[number] = asyncio.create_task(self._ask(said, outlet))
                asked[number].add_done_callback(lambda task: asked.pop(number, None))
            elif said.do == "withdraw":
                if number in asked:
                    asked[number].cancel()
            elif said.do == "alert":
                self._desk.add_alert(said.text, said.threshold)
            elif said.do == "talk":
                self._desk.talk(outlet, said.held, said.rate)
            elif said.do == "aloud":
                self._voice.allow(outlet, said.held)
            elif said.do == "spoken":
                self._voice.spoken(outlet, number, said.whole)
            else:
                self._desk.remove_alert(said.text)
        except (msgspec.MsgspecError, QuestionError, Busy, BadSound, RecursionError) as error:
            self._refuse(outlet, number, str(error))

    async def _ask(self, said: Said, outlet: Outlet) -> None:
        question = Question(said.text, tuple(said.options), compares=said.compares)
        try:
            record = await self._desk.ask(question)
        except (QuestionError, Busy) as error:
            self._refuse(outlet, said.id, str(error))
        else:
            told = {"type": "answered", "id": said.id, "asked_at": record.asked_at / 1e6}
            outlet.put(msgspec.json.encode(told))

    @staticmethod
    def _refuse(outlet: Outlet, number: int, reason: str) -> None:
        outlet.put(msgspec.json.encode({"type": "refused", "id": number, "reason": reason}))
