"""Chat completions as clients ask for them, read into questions.

Source of the form: OpenAI's API reference. What it has and this does not is ignored where it only
asks for more, and refused where the answer would be another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from runtime.answers.questions import LETTERS, Question
from runtime.server.openai.pictures import BadPicture, Picture, picture

MOST_PICTURES = 8
MOST_POINTS = 16  # of gaze on one picture


class BadRequest(Exception):
    """A request that can't be answered as it stands. `parameter`: what of it."""

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class ImageUrl(msgspec.Struct):
    """Where a picture is: in the request itself."""

    url: str
    gaze: list[tuple[float, float]] | None = None


class Part(msgspec.Struct):
    """A part of a message. `gaze`: where the picture was looked at, as fractions of its size."""

    type: Literal["text", "image_url"]
    text: str = ""
    image_url: ImageUrl | None = None
    gaze: list[tuple[float, float]] | None = None


class Message(msgspec.Struct):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None


class Body(msgspec.Struct):
    """The body of a request."""

    messages: list[Message]
    model: str = ""
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None
    response_format: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request as it is understood.

    `values`: what the client wants to be given for each letter, where it asked by a schema;
    `property`: the name of the field in which it wants that, None for the bare value.
    """

    question: Question
    pictures: tuple[Picture, ...]
    stream: bool
    counts_usage: bool
    logprobs: bool
    values: tuple[Any, ...] = ()
    property: str | None = None
    in_schema: bool = False


def wanted(body: bytes) -> Wanted:
    """Read a request. Raises BadRequest."""
    try:
        asked = msgspec.json.decode(body, type=Body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body can't be read: {error}") from error
    return understood(asked)


def understood(asked: Body) -> Wanted:
    """What a request asks for. Raises BadRequest."""
    if asked.n not in (None, 1):
        raise BadRequest("there is one answer to a question: n is 1", "n")
    said = [message for message in asked.messages if message.role == "user"]
    if not said:
        raise BadRequest("there is no message of the user", "messages")
    text, pictures = _parts(said[-1])
    if not text.strip():
        raise BadRequest("the last message of the user holds no text", "messages")
    values, name = _schema(asked.response_format)
    question = Question(text, tuple(map(str, values))) if values else _lettered(text)
    counts = bool((asked.stream_options or {}).get("include_usage"))
    return Wanted(
        question,
        pictures,
        asked.stream,
        counts,
        bool(asked.logprobs),
        values,
        name,
        bool(values),
    )


def _parts(message: Message) -> tuple[str, tuple[Picture, ...]]:
    if isinstance(message.content, str) or message.content is None:
        return message.content or "", ()
    texts, pictures = [], []
    for part in message.content:
        if part.type == "text":
            texts.append(part.text)
            continue
        if part.image_url is None:
            raise BadRequest("a part of the type image_url holds none", "messages")
        if len(pictures) == MOST_PICTURES:
            raise BadRequest(f"at most {MOST_PICTURES} pictures are taken", "messages")
        gaze = tuple(part.gaze or part.image_url.gaze or ())
        if len(gaze) > MOST_POINTS or not all(0 <= v <= 1 for point in gaze for v in point):
            said = f"gaze is at most {MOST_POINTS} points [x, y], each a fraction of the picture"
            raise BadRequest(said, "gaze")
        try:
            pictures.append(picture(part.image_url.url, gaze))
        except BadPicture as error:
            raise BadRequest(str(error), "image_url") from error
    return "\n".join(texts), tuple(pictures)


def _schema(wished: dict[str, Any] | None) -> tuple[tuple[Any, ...], str | None]:
    """The values of a schema's enum, and the property that holds it."""
    kind = (wished or {}).get("type", "text")
    if wished is None or kind == "text":
        return (), None
    refusal = BadRequest(
        "response_format is a json_schema with an enum, or an object of one property with one",
        "response_format",
    )
    try:
        schema = wished["json_schema"]["schema"]
        name = None
        if schema.get("type") == "object":
            ((name, schema),) = schema["properties"].items()
        values = schema["enum"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise refusal from error
    if not isinstance(values, list) or not 2 <= len(values) <= len(LETTERS):
        raise refusal
    if any(isinstance(value, list | dict) for value in values):
        raise refusal
    return tuple(values), name


def _lettered(text: str) -> Question:
    """A question whose text ends with options behind letters, each in a line; else free text."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    options: list[str] = []
    for line in reversed(lines):
        if not re.match(r"[A-H][.)]\s+\S", line):
            break
        options.insert(0, line)
    letters = "".join(option[0] for option in options)
    if len(options) < 2 or letters != LETTERS[: len(options)]:
        return Question(text)
    asked = "\n".join(lines[: len(lines) - len(options)])
    return Question(asked, tuple(option[2:].strip() for option in options))
