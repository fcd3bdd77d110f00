"""OpenAI's newer form, `POST /v1/responses`: another wrapping of the same questions and answers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from runtime.answers.record import AnswerRecord
from runtime.server.openai.replies import EXTENSION, content
from runtime.server.openai.requests import (
    BadRequest,
    Body,
    ImageUrl,
    Message,
    Part,
    Wanted,
    understood,
)

Event = dict[str, Any]


class InputPart(msgspec.Struct):
    """A part of the input. `gaze`: as of `requests.Part`."""

    type: Literal["input_text", "output_text", "input_image"]
    text: str = ""
    image_url: str | None = None
    gaze: list[tuple[float, float]] | None = None


class InputMessage(msgspec.Struct):
    """A message of the input."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[InputPart]


class ResponseBody(msgspec.Struct):
    """The body of a request."""

    input: str | list[InputMessage]
    model: str = ""
    stream: bool | None = None
    text: dict[str, Any] | None = None


def wanted_response(body: bytes) -> Wanted:
    """Read a request. Raises BadRequest."""
    try:
        asked = msgspec.json.decode(body, type=ResponseBody)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body can't be read: {error}") from error
    messages = [Message("user", asked.input)] if isinstance(asked.input, str) else None
    messages = messages or [_message(each) for each in asked.input]
    layout = (asked.text or {}).get("format")
    if isinstance(layout, dict) and layout.get("type") == "json_schema":
        layout = {"type": "json_schema", "json_schema": layout}
    body_of_chat = Body(messages, asked.model, bool(asked.stream), response_format=layout)
    return understood(body_of_chat)


def _message(said: InputMessage) -> Message:
    if isinstance(said.content, str):
        return Message(said.role, said.content)
    return Message(said.role, [_part(part) for part in said.content])


def _part(part: InputPart) -> Part:
    if part.type != "input_image":
        return Part("text", part.text)
    where = None if part.image_url is None else ImageUrl(part.image_url)
    return Part("image_url", image_url=where, gaze=part.gaze)


@dataclass(frozen=True, slots=True)
class Response:
    """One response. `created`: Unix seconds."""

    wanted: Wanted
    model: str
    created: int
    name: str = field(default_factory=lambda: f"resp_{secrets.token_hex(12)}")

    def whole(self, record: AnswerRecord, usage: Mapping[str, int]) -> dict[str, Any]:
        """The response in one piece; `usage` as of a chat completion."""
        counted = {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage["total_tokens"],
        }
        said = self._item("completed", [_text(content(self.wanted, record))])
        whole = self._head("completed", [said], counted)
        return {**whole, EXTENSION: msgspec.to_builtins(record)}

    def first(self) -> Iterator[Event]:
        """What begins a stream."""
        for kind in ("created", "in_progress"):
            begun = self._head("in_progress", [], None)
            yield {"type": f"response.{kind}", "response": begun}
        item = self._item("in_progress", [])
        yield {"type": "response.output_item.added", "output_index": 0, "item": item}
        yield {**self._at("content_part.added"), "part": _text("")}

    def piece(self, text: str) -> Event:
        """A piece of text."""
        return {**self._at("output_text.delta"), "delta": text, "logprobs": []}

    def last(self, record: AnswerRecord, said: str, usage: Mapping[str, int]) -> Iterator[Event]:
        """What ends a stream of which `said` was sent already, with what is missing in it."""
        whole = content(self.wanted, record)
        if whole.startswith(said) and whole != said:
            yield self.piece(whole[len(said) :])
        yield {**self._at("output_text.done"), "text": whole, "logprobs": []}
        yield {**self._at("content_part.done"), "part": _text(whole)}
        item = self._item("completed", [_text(whole)])
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}
        yield {"type": "response.completed", "response": self.whole(record, usage)}

    def _head(
        self, status: str, output: list[dict[str, Any]], usage: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        unknown = ("error", "incomplete_details", "instructions", "temperature", "top_p")
        return {
            "id": self.name,
            "object": "response",
            "created_at": self.created,
            "model": self.model,
            "status": status,
            "output": output,
            "usage": usage,
            "parallel_tool_calls": False,
            "tool_choice": "none",
            "tools": [],
            "metadata": {},
            **dict.fromkeys(unknown),
        }

    @property
    def _item_name(self) -> str:
        return self.name.replace("resp_", "msg_")

    def _item(self, status: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
        named = {"id": self._item_name, "type": "message", "role": "assistant"}
        return {**named, "status": status, "content": parts}

    def _at(self, kind: str) -> Event:
        where = {"item_id": self._item_name, "output_index": 0, "content_index": 0}
        return {"type": f"response.{kind}", **where}


def _text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
