"""Answers to choose from, as people say them: "a cup, a bottle or a key?"."""

from __future__ import annotations

import re

from runtime.answers.questions import LETTERS

_DETERMINER = re.compile(r"\b(a|an|the|my|some|one)\s+\S", re.IGNORECASE)
_WHICH = re.compile(r"(what|which|who|whose|where|how)\b", re.IGNORECASE)
MOST_WORDS = 6
"""Of one option: more is a sentence that happens to have an "or" in it."""


def spoken_options(text: str) -> tuple[str, tuple[str, ...]]:
    """The question and its options, none where the sentence lists none.

    The question stays as it was said; where the list is a sentence of its own, it is what comes
    before it.
    """
    sentences = [each.strip() for each in re.findall(r"[^.!?]+[.!?]*", text)]
    if not sentences:
        return text.strip(), ()
    last = sentences[-1]
    if len(sentences) > 1 and (options := _listed(last, alone=True)):
        return " ".join(sentences[:-1]), options
    return text.strip(), _listed(last, alone=False)


def _listed(sentence: str, alone: bool) -> tuple[str, ...]:
    body = re.sub(r"[.!?\s]+$", "", sentence)
    before, found, last = body.rpartition(" or ")
    if not found:
        return ()
    before = before.rstrip(", ")
    first, *middle = (each.strip() for each in before.split(","))
    parts = [first, *filter(None, middle), last.strip()]
    if not alone:
        parts = _without_question(parts[0], parts[1:])
    options = tuple(re.sub(r"^(or|and)\s+", "", part).strip() for part in parts)
    fits = 2 <= len(options) <= len(LETTERS)
    return options if fits and all(0 < len(o.split()) <= MOST_WORDS for o in options) else ()


def _without_question(first: str, rest: list[str]) -> list[str]:
    """The options, where the question still stands before the first of them, or is the first."""
    size = max(len(part.split()) for part in rest)
    if _WHICH.match(first):
        return rest
    if not _DETERMINER.match(rest[-1]):
        return [" ".join(first.split()[-size:]), *rest]
    places = [match.start() for match in _DETERMINER.finditer(first)]
    tail = first[places[-1] :] if places else ""
    return [tail, *rest] if 0 < len(tail.split()) <= size + 1 else rest
