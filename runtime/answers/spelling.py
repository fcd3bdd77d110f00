"""Free text from tokens as they are generated: whole characters, each token decoded once."""

from __future__ import annotations

from collections.abc import Callable

from tokenizers import Tokenizer

INCOMPLETE = "\ufffd"  # how a character decodes of which a part is still to come
MOST_HELD = 64  # tokens; a character has four bytes, so that more are damaged for good


class Spelling:
    """The text of an answer, piece by piece.

    A byte-level tokenizer's text is that of its pieces, wherever a character ends. Tokens after
    the last such place wait for the next ones.
    """

    def __init__(self, tokenizer: Tokenizer, on_text: Callable[[str], None]) -> None:
        """`on_text` hears of every piece as soon as it is whole."""
        self._tokenizer = tokenizer
        self._on_text = on_text
        self._held: list[int] = []
        self._pieces: list[str] = []

    def add(self, token: int) -> None:
        """The next token has been generated."""
        self._held.append(token)
        text = self._tokenizer.decode(self._held)
        if not text.endswith(INCOMPLETE) or len(self._held) == MOST_HELD:
            self._tell(text)

    def end(self) -> str:
        """No token comes any more; the whole text, which is what was told."""
        if self._held:
            self._tell(self._tokenizer.decode(self._held))
        return "".join(self._pieces)

    def _tell(self, text: str) -> None:
        self._held.clear()
        if text:
            self._pieces.append(text)
            self._on_text(text)
