"""What a checkpoint's own files say of the text around a question: turns, stop tokens, letters.

Sources: the chat template that lies beside the weights (chat_template.json, chat_template.jinja or
tokenizer_config.json) and generation_config.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from export.checkpoints.common import CheckpointError, read_json
from runtime.bundle.manifest import PromptPieces

VIDEO = "<|video_pad|>"
TEXT = "the text of the user's turn"
TURN = {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": TEXT}]}
LETTERS = "ABCDEFGH"
LEAST_LETTERS = 4


@dataclass(frozen=True, slots=True)
class Turns:
    """The template's text before the video, between it and the question, and after the question."""

    before_video: str
    after_video: str
    before_answer: str


def read_prompt(folder: Path, tokenizer: Tokenizer) -> PromptPieces:
    """The tokens around the video and the question, and those that end an answer.

    Raises CheckpointError for a folder whose template, stop ids or tokenizer do not give them.
    """
    turns = read_turns(folder)
    letters = {letter: _ids(tokenizer, letter) for letter in LETTERS}
    single = {letter: ids[0] for letter, ids in letters.items() if len(ids) == 1}
    if not set(LETTERS[:LEAST_LETTERS]) <= set(single):
        raise CheckpointError(f"{folder}: its tokenizer has no token for each of A, B, C and D")
    return PromptPieces(
        before_video=_ids(tokenizer, turns.before_video),
        after_video=_ids(tokenizer, turns.after_video),
        before_answer=_ids(tokenizer, turns.before_answer),
        letters=single,
        stop=read_stops(folder),
    )


def read_turns(folder: Path) -> Turns:
    """The template's turns around one video and one question."""
    rendered = {path: _rendered(path, template) for path, template in _templates(folder)}
    if not rendered:
        raise CheckpointError(
            f"{folder}: it has no chat template: copy tokenizer_config.json or chat_template.json "
            "from where the model comes from"
        )
    (path, text), *others = rendered.items()
    if differing := [other for other, turned in others if turned != text]:
        raise CheckpointError(
            f"{folder}: the chat templates of {path.name} and {differing[0].name} differ: "
            "keep the one that the model was trained with"
        )
    if text.count(VIDEO) != 1 or text.count(TEXT) != 1 or text.find(TEXT) < text.find(VIDEO):
        raise CheckpointError(
            f"{path}: its chat template does not put one {VIDEO} before the user's text"
        )
    before, rest = text.split(VIDEO)
    after, answer = rest.split(TEXT)
    return Turns(before, after, answer)


def read_stops(folder: Path) -> tuple[int, ...]:
    """The token ids that end an answer; generation_config.json goes before config.json."""
    path = folder / "generation_config.json"
    if path.is_file():
        stated = read_json(path).get("eos_token_id")
    else:
        path = folder / "config.json"
        config = read_json(path)
        stated = {**config, **(config.get("text_config") or {})}.get("eos_token_id")
    ids = stated if isinstance(stated, list) else [stated]
    if not ids or not all(isinstance(each, int) and each >= 0 for each in ids):
        raise CheckpointError(f"{path}: its eos_token_id is {stated!r}, so no answer would end")
    return tuple(ids)


def _templates(folder: Path) -> Iterator[tuple[Path, str]]:
    raw = folder / "chat_template.jinja"
    if raw.is_file():
        yield raw, raw.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        path = folder / name
        template = read_json(path).get("chat_template") if path.is_file() else None
        if isinstance(template, list):  # several, by name
            named = {each.get("name"): each.get("template") for each in template}
            template = named.get("default")
        if isinstance(template, str):
            yield path, template


def _rendered(path: Path, template: str) -> str:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    try:
        return environment.from_string(template).render(messages=[TURN], add_generation_prompt=True)
    except (TemplateError, TypeError) as error:
        raise CheckpointError(f"{path}: its chat template can't be used: {error}") from error


def _ids(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text, add_special_tokens=False).ids)
