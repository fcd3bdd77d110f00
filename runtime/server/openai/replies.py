"""Answers in the form of OpenAI's chat completions. The extra facts are one field, `gazeqwen`."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from runtime.answers.questions import LETTERS
from runtime.answers.record import AnswerRecord
from runtime.server.openai.requests import Wanted

EXTENSION = "gazeqwen"
LEAST = -9999.0  # what OpenAI says for a probability of nothing


@dataclass(frozen=True, slots=True)
class Reply:
    """One completion. `created`: Unix seconds."""

    wanted: Wanted
    model: str
    created: int
    name: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")

    def whole(self, record: AnswerRecord, usage: Mapping[str, int]) -> dict[str, Any]:
        """The completion in one piece."""
        message = {"role": "assistant", "content": content(self.wanted, record), "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": "stop",
            "logprobs": logprobs(self.wanted, record),
        }
        facts = msgspec.to_builtins(record)
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": dict(usage),
            EXTENSION: facts,
        }

    def piece(self, text: str, first: bool) -> dict[str, Any]:
        """A piece of a completion that is streamed."""
        delta = {"role": "assistant", "content": text} if first else {"content": text}
        return self._chunk(delta, None)

    def last(self, record: AnswerRecord, said: str) -> dict[str, Any]:
        """What ends a stream of which `said` was sent already, with what is missing in it."""
        whole = content(self.wanted, record)
        rest = whole[len(said) :] if whole.startswith(said) else ""
        chunk = self._chunk({"content": rest} if rest else {}, "stop")
        chunk["choices"][0]["logprobs"] = logprobs(self.wanted, record)
        return {**chunk, EXTENSION: msgspec.to_builtins(record)}

    def counted(self, usage: Mapping[str, int]) -> dict[str, Any]:
        """The chunk that says the usage, where the client asked for it."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": dict(usage)}

    def _chunk(self, delta: dict[str, str], reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.name, "object": kind, "created": self.created, "model": self.model}


def content(wanted: Wanted, record: AnswerRecord) -> str:
    """The text of an answer: free, a letter, or what the client's schema wants."""
    answer = record.answer or ""
    if not wanted.in_schema:
        return answer
    value = wanted.values[LETTERS.index(answer)]
    if wanted.property is not None:
        return json.dumps({wanted.property: value}, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def logprobs(wanted: Wanted, record: AnswerRecord) -> dict[str, Any] | None:
    """The letters' probabilities, where the client asked for them and there are options."""
    if not wanted.logprobs or record.probabilities is None or record.answer is None:
        return None
    ordered = sorted(record.probabilities.items(), key=lambda each: -each[1])
    top = [_token(letter, chance) for letter, chance in ordered]
    chosen = _token(record.answer, record.probabilities[record.answer])
    return {"content": [{**chosen, "top_logprobs": top}], "refusal": None}


def _token(letter: str, chance: float) -> dict[str, Any]:
    said = math.log(chance) if chance > 0 else LEAST
    return {"token": letter, "logprob": said, "bytes": list(letter.encode())}
