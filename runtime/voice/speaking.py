"""What of a run is said aloud, and in which words: a listener to its records."""

from __future__ import annotations

import re

from runtime.answers.heard import Standing
from runtime.answers.listeners import News, Piece
from runtime.answers.questions import LETTERS
from runtime.answers.record import AlertRecord, AnswerRecord
from runtime.voice.mouth import Mouth

_SENTENCE_END = re.compile(r"[.!?\u2026]+[\"')\]]*\s+")
NO_ANSWER = "I have no answer."
_REQUEST = re.compile(r"^\s*(tell|alert|notify|warn|remind) me\s+", re.IGNORECASE)
_TURNED = {"i": "you", "i'm": "you're", "am": "are", "my": "your", "me": "you", "mine": "yours"}


class Speaking:
    """Says answers sentence by sentence while they are generated, and alerts at once."""

    def __init__(self, mouth: Mouth) -> None:
        self._mouth = mouth
        self._rest = ""
        self._streamed = False
        self._muted = False
        self._sentences: list[str] = []
        self._last: tuple[str, ...] = ()

    def hear(self, news: News) -> None:
        """Take what happened in the run."""
        if isinstance(news, Piece):
            self._streamed = True
            self._rest += news.text
            while (end := _SENTENCE_END.search(self._rest)) is not None:
                self._say(self._rest[: end.end()].strip())
                self._rest = self._rest[end.end() :]
        elif isinstance(news, AlertRecord):
            self._mouth.cut_in(alert_words(news.alert))
        elif isinstance(news, AnswerRecord):
            self._finish(news)

    def silence(self) -> None:
        """Be silent, also about what of the present answer is still to come."""
        self._muted = self._streamed
        self._mouth.silence()

    def repeat(self) -> None:
        """Say the last answer again."""
        for sentence in self._last:
            self._mouth.say(sentence, "again")

    def confirm(self, standing: Standing) -> None:
        """Say that a standing request was taken up, or given up."""
        self._mouth.say(confirmation(standing), "confirmation")

    def _finish(self, record: AnswerRecord) -> None:
        if not self._streamed:
            self._rest = answer_words(record)
        if self._rest.strip():
            self._say(self._rest.strip())
        self._last = tuple(self._sentences)
        self._sentences, self._rest = [], ""
        self._streamed = self._muted = False

    def _say(self, sentence: str) -> None:
        self._sentences.append(sentence)
        if not self._muted:
            self._mouth.say(sentence, "answer")


def answer_words(record: AnswerRecord) -> str:
    """An answer as it is spoken: of options the text, not the letter."""
    if record.answer is None:
        return record.note or NO_ANSWER
    if not record.options:
        return record.answer or NO_ANSWER
    place = LETTERS.find(record.answer)
    option = record.options[place] if 0 <= place < len(record.options) else record.answer
    return re.sub(r"^[A-H][.)]\s+", "", option.strip())


def alert_words(alert: str) -> str:
    """An alert as it is spoken: "Tell me when I look at it" is "You look at it"."""
    rest = _REQUEST.sub("", alert.strip())
    if rest == alert.strip():
        return alert
    rest = re.sub(r"^(when|whenever|if|once|as soon as)\s+", "", rest, flags=re.IGNORECASE)
    turned = _turned(rest)
    return turned[:1].upper() + turned[1:]


def confirmation(standing: Standing) -> str:
    """That a standing request was understood, in words that repeat it."""
    if not standing.begins:
        return "All right, no longer."
    rest = _REQUEST.sub("", standing.text.strip())
    return f"I will tell you {_turned(rest)}"


def _turned(text: str) -> str:
    """The words of the one who speaks as those of the one who is spoken to."""
    return re.sub(r"[\w']+", lambda m: _TURNED.get(m.group().lower(), m.group()), text)
