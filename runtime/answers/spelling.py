"""Free text from tokens as they are generated: whole characters, each token decoded once."""

from __future__ import annotations

from collections.abc import Callable

from tokenizers import Tokenizer

INCOMPLETE = "\ufffd"  # how a character decodes of which a part is still to come
MOST_HELD = 64  # tokens; a character has four bytes, so that more are damaged for good
LEAST_HELD = 4  # tokens that show how the newest byte is read, whatever comes before them


class Spelling:
    """The text of an answer, piece by piece.

    A byte-level tokenizer's text is that of its pieces, wherever a character ends. Tokens after
    the last such place wait for the next ones. Of many that stay damaged all but the last
    character is told, which alone may still change.
    """

    def __init__(self, tokenizer: Tokenizer, on_text: Callable[[str], None]) -> None:
        """`on_text` hears of every piece as soon as it is whole."""
        self._tokenizer = tokenizer
        self._on_text = on_text
        self._held: list[int] = []
        self._told = 0  # characters of what is held
        self._pieces: list[str] = []

    def add(self, token: int) -> None:
        """The next token has been generated."""
        self._held.append(token)
        text = self._tokenizer.decode(self._held)
        if not text.endswith(INCOMPLETE):
            self._tell(text[self._told :], held=0)
        elif len(self._held) == MOST_HELD:
            self._tell(text[self._told : -1], held=LEAST_HELD)

    def end(self) -> str:
        """No token comes any more; the whole text, which is what was told."""
        if self._held:
            self._tell(self._tokenizer.decode(self._held)[self._told :], held=0)
        return "".join(self._pieces)

    def _tell(self, text: str, held: int) -> None:
        """Tell a piece; the last `held` tokens stay, of which one character is not told."""
        self._held = self._held[len(self._held) - held :]
        self._told = len(self._tokenizer.decode(self._held)) - 1 if held else 0
        if text:
            self._pieces.append(text)
            self._on_text(text)
