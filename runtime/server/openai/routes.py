"""`GET /v1/models` and `POST /v1/chat/completions`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from runtime.answers.questions import Question
from runtime.answers.record import AnswerRecord
from runtime.errors import QuestionError
from runtime.server.desk import Busy, Desk
from runtime.server.openai.pictures import picture_step
from runtime.server.openai.replies import Reply
from runtime.server.openai.requests import BadRequest, Wanted, wanted
from runtime.server.openai.responses import Event, Response, wanted_response
from runtime.server.security import api_error


@dataclass(frozen=True, slots=True)
class Served:
    """The model as clients see it.

    `size`: (height, width) of its pictures. `count` tells the tokens of a text; `step_tokens` those
    of one step. `now`: Unix ns.
    """

    model: str
    size: tuple[int, int]
    step_tokens: int
    count: Callable[[Question], int]
    count_text: Callable[[str], int]
    now: Callable[[], int]


class Completions:
    """Asks the live stream, or pictures, for clients of OpenAI's API."""

    def __init__(self, desk: Desk, served: Served) -> None:
        self._desk, self._served = desk, served
        self._began = served.now() // 1_000_000_000

    def routes(self) -> list[web.RouteDef]:
        """Where each is found."""
        return [
            web.get("/v1/models", self.models),
            web.get("/v1/models/{name}", self.model),
            web.post("/v1/chat/completions", self.complete),
            web.post("/v1/responses", self.respond),
        ]

    async def models(self, request: web.Request) -> web.Response:
        """The one model that runs."""
        return web.json_response({"object": "list", "data": [self._told()]})

    async def model(self, request: web.Request) -> web.Response:
        """What is said of the model by its name."""
        if request.match_info["name"] != self._served.model:
            return api_error(404, f"the model that runs is {self._served.model}", "model")
        return web.json_response(self._told())

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Answer, in one piece or as it is generated."""
        body = await request.read()
        try:
            asked = await asyncio.to_thread(wanted, body)
        except BadRequest as error:
            return api_error(400, str(error), error.parameter)
        reply = Reply(asked, self._served.model, self._served.now() // 1_000_000_000)
        try:
            if asked.stream:
                return await self._streamed(request, asked, reply)
            record = await self._ask(asked)
        except QuestionError as error:
            return api_error(400, str(error), "messages")
        except Busy as error:
            return api_error(error.status, str(error))
        if record.answer is None:
            return api_error(503, record.note or "there is no answer")
        return web.json_response(reply.whole(record, self._usage(asked, record)))

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """The same in OpenAI's newer form."""
        body = await request.read()
        try:
            asked = await asyncio.to_thread(wanted_response, body)
        except BadRequest as error:
            return api_error(400, str(error), error.parameter)
        reply = Response(asked, self._served.model, self._served.now() // 1_000_000_000)
        sent, said = Numbered(request), ""
        try:
            async with aclosing(self._answering(asked)) as answering:
                async for piece in answering:
                    if isinstance(piece, str):
                        if asked.stream:
                            await sent.send(*(() if said else reply.first()), reply.piece(piece))
                        said += piece
                    elif piece.answer is None:
                        return await sent.fail(piece.note or "there is no answer")
                    elif not asked.stream:
                        return web.json_response(reply.whole(piece, self._usage(asked, piece)))
                    else:
                        last = reply.last(piece, said, self._usage(asked, piece))
                        await sent.send(*(() if said else reply.first()), *last)
        except QuestionError as error:
            return await sent.fail(str(error), 400)
        except Busy as error:
            return await sent.fail(str(error), error.status)
        assert sent.response is not None
        return sent.response

    async def _streamed(
        self, request: web.Request, asked: Wanted, reply: Reply
    ) -> web.StreamResponse:
        """The answer as server-sent events. Its status is known once there is something to say."""
        response: web.StreamResponse | None = None
        said = ""
        try:
            async with aclosing(self._answering(asked)) as answering:
                async for piece in answering:
                    if isinstance(piece, str):
                        first, response = response is None, response or await _events(request)
                        said += piece
                        await _send(response, reply.piece(piece, first))
                    elif piece.answer is None and response is None:
                        return api_error(503, piece.note or "there is no answer")
                    else:
                        response = response or await _events(request)
                        await self._end(response, asked, reply, piece, said)
        except (QuestionError, Busy) as error:
            if response is None:
                raise
            await _send(response, _failure(str(error)))  # its status was told before
            return response
        assert response is not None
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _end(
        self,
        response: web.StreamResponse,
        asked: Wanted,
        reply: Reply,
        record: AnswerRecord,
        said: str,
    ) -> None:
        """What follows the pieces of a stream."""
        if record.answer is None:
            await _send(response, _failure(record.note or "there is no answer"))
            return
        if not said:
            await _send(response, reply.piece("", first=True))
        await _send(response, reply.last(record, said))
        if asked.counts_usage:
            await _send(response, reply.counted(self._usage(asked, record)))

    async def _answering(self, asked: Wanted) -> AsyncIterator[str | AnswerRecord]:
        """Pieces of text as they are generated, then the record. Raises what `_ask` does."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        answer = asyncio.create_task(self._ask(asked, pieces.put_nowait))
        answer.add_done_callback(lambda done: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            yield await answer
        finally:
            answer.cancel()  # whoever has left frees the decoder

    async def _ask(
        self, asked: Wanted, on_piece: Callable[[str], None] = lambda piece: None
    ) -> AnswerRecord:
        served = self._served
        moment = served.now()
        steps = tuple(picture_step(each, moment, served.size) for each in asked.pictures)
        return await self._desk.ask(asked.question, steps, on_piece)

    def _usage(self, asked: Wanted, record: AnswerRecord) -> dict[str, int]:
        """Tokens: a letter is one."""
        steps = len(record.steps) * self._served.step_tokens
        prompt = steps + self._served.count(asked.question)
        options = asked.question.options
        completion = 1 if options else self._served.count_text(record.answer or "")
        total = prompt + completion
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": total,
        }

    def _told(self) -> dict[str, Any]:
        return {
            "id": self._served.model,
            "object": "model",
            "created": self._began,
            "owned_by": "gazeqwen-edge",
        }


class Numbered:
    """A stream of events with running numbers, which begins with the first of them."""

    def __init__(self, request: web.Request) -> None:
        self.response: web.StreamResponse | None = None
        self._request, self._number = request, 0

    async def send(self, *events: Event) -> None:
        """Send events, each behind its kind."""
        self.response = self.response or await _events(self._request)
        for event in events:
            numbered = {**event, "sequence_number": self._number}
            self._number += 1
            await self.response.write(f"event: {event['type']}\n".encode())
            await _send(self.response, numbered)

    async def fail(self, reason: str, status: int = 503) -> web.StreamResponse:
        """There is no answer: a status of HTTP where nothing was sent yet, else an event."""
        if self.response is None:
            return api_error(status, reason)
        await self.send({"type": "error", "code": "server_error", "message": reason, "param": None})
        return self.response


def _failure(reason: str) -> dict[str, Any]:
    """What says within a stream that its answer ends here."""
    return {"error": {"message": reason, "type": "server_error", "param": None, "code": None}}


async def _events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response


async def _send(response: web.StreamResponse, said: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(said).encode() + b"\n\n")
