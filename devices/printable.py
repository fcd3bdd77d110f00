"""Foreign text made fit for one line of a terminal, a log or an error."""

from __future__ import annotations

import re

REPLACEMENT = "\ufffd"
CUT = "…"

_JOINERS = "\u200c\u200d"
"""Format characters that names in Persian and composed emoji need, and that move nothing."""
_SEQUENCE = re.compile(
    r"(?:\x1b[P\]X^_]|[\x90\x9d\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
"""The control sequences of ECMA-48: strings up to their end, then CSI, then the short ones."""
_REPLACEMENTS = re.compile(f"{REPLACEMENT}+")
_SPACES = re.compile(r"\s+")
_EXCESS = 8
"""How many times the limit is looked at, so that the cost does not grow with the text."""


def printable(text: str, limit: int) -> str:
    """The text as one line of at most `limit` characters that changes nothing but its own place.

    White space of any kind, line feeds included, becomes one space, none at the ends. Control
    sequences, control characters, bidirectional and other invisible marks, lone surrogates and
    what is no character yet become one U+FFFD for each run of them. What is cut off at the end is
    marked with an ellipsis.
    Brackets stay: whoever prints through `rich` prints it as plain text.
    """
    looked_at = text[: limit * _EXCESS]
    shown = _SPACES.sub(" ", _SEQUENCE.sub(REPLACEMENT, looked_at))
    shown = "".join(map(_shown, shown))
    shown = _REPLACEMENTS.sub(REPLACEMENT, shown).strip()
    if len(shown) > limit or len(looked_at) < len(text):
        shown = shown[: limit - len(CUT)].rstrip() + CUT
    return shown


def _shown(character: str) -> str:
    if character in _JOINERS:
        return character
    return character if character.isprintable() else REPLACEMENT
