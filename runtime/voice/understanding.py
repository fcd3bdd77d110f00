"""What a spoken sentence is: a question for the glasses, a standing request, a word that silences
them, or talk that is not for them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runtime.answers.heard import Heard, Standing, TakenAs, Word
from runtime.answers.questions import Question
from runtime.voice.spoken_options import spoken_options

STRAY = ("you", "okay", "ok", "oh", "uh", "um", "so", "thank you", "thanks", "bye")
"""What the start and the end of a codec's stream are heard as, too."""
STOP = ("stop", "stop it", "be quiet", "quiet", "silence", "stop talking")
AGAIN = ("again", "say that again", "repeat that", "repeat", "say it again")
TIME = r"(morning|afternoon|evening|week|weekend|month|year|summer|winter|spring|autumn|time)\b"
"""After a "this" that points at nothing."""
_POINTING = re.compile(rf"\b(this|that|these|those|here)\b(?!'| {TIME})", re.IGNORECASE)
ASKING = re.compile(
    r"(what|which|where|who|whose|when|why|how|is|are|was|were|do|did|does|am|has|have|can|could)\b"
)
VIEW = re.compile(
    rf"\b(this(?! {TIME})|these|those|here)\b|\bin front of me\b|"
    r"\b(am|was) i (looking|holding|reading|gazing)\b"
    r"|\b(did|do|have|can|could) i (just |last |already )?"
    r"(see|seen|look|looked|gaze|gazed|read|hold|touch|pick|miss|missed)\b"
    r"|\bi('m| am) (looking|holding|reading|gazing)\b|\bi (see|look|looked|gaze|gazed|saw)\b"
    r"|\b(is|are|was|were) there\b.*\b(on|in front|beside|behind|under|next to)\b"
    r"|\bthe (wearer|user)\b|\bi not looked? at\b|\bi have not looked\b|\bwill i do next\b"
    r"|^(is|was) (it|that) (a|an|the)\b|^what is (that|it)\b|^what's (this|that)\b"
    r"|^what (colou?r|kind) is (that|it)\b|\bnearest to the\b"
)
"""What only somebody asks about what she sees."""
OTHERS = re.compile(
    r"\b(you|your|yours|we|our|us|he|she|they|him|her|his|their|them|mom|dad|everyone|anybody)\b"
)
"""Whom she talks with, or about."""
STANDING = re.compile(r"(tell|alert|notify|warn|remind) me (when|if|as soon as|once|whenever)\b")
ENDING = re.compile(
    r"(stop|no longer|don't|do not) "
    r"(telling|alerting|notifying|warning|tell|alert|notify|warn) me\b"
)
NOT_ADDRESSED, NOT_A_QUESTION, NO_VIEW = (
    "it does not begin with the wake word",
    "it is no question and no standing request",
    "it is not about what is seen",
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a sentence was taken as; `wish` is what to ask or to watch for, `why` why nothing."""

    taken_as: TakenAs
    wish: Question | Standing | None = None
    why: str | None = None


def meaning(text: str, wake: str | None = None, certain: bool = False) -> Meaning:
    """What a sentence means.

    `wake`: the word without which nothing but "stop" is for the glasses; with it, everything is.
    `certain`: a key was held while it was said, so that it is for them.
    """
    spoken = without_strays(text)
    plain = bare(spoken)
    if plain in STOP:
        return Meaning("stop")
    if wake is not None and not certain:
        rest = _after(wake, spoken)
        if rest is None:
            return Meaning("nothing", why=NOT_ADDRESSED)
        spoken, certain = without_strays(rest), True
        plain = bare(spoken)
        if plain in STOP:
            return Meaning("stop")
    if plain in AGAIN:
        return Meaning("again")
    if STANDING.match(plain):
        return Meaning("standing request", Standing(spoken))
    if ENDING.match(plain):
        return Meaning("end of a standing request", Standing(spoken, begins=False))
    return _asked(spoken, plain, certain)


def _asked(spoken: str, plain: str, certain: bool) -> Meaning:
    if not plain:
        return Meaning("nothing", why=NOT_A_QUESTION)
    if not certain:
        if not (ASKING.match(plain) or spoken.rstrip().endswith("?")):
            return Meaning("nothing", why=NOT_A_QUESTION)
        if OTHERS.search(plain) or not VIEW.search(plain):
            return Meaning("nothing", why=NO_VIEW)
    question, options = spoken_options(spoken)
    return Meaning("question", Question(question, options))


def is_stop(text: str) -> bool:
    """Whether a person said nothing but that the glasses should be silent."""
    return bare(without_strays(text)) in STOP


def ends_with_stop(text: str) -> bool:
    """Whether the last word of what was heard is to silence."""
    return bare(text).split(" ")[-1] == STOP[0]


def bare(text: str) -> str:
    """Lower-case words with single spaces between, and nothing else."""
    return " ".join(re.findall(r"[\w']+", text.lower().replace("\u2019", "'")))


def without_strays(text: str) -> str:
    """The sentence without stray words before and after it, each of which stands alone."""
    sentences = re.findall(r"[^.!?]+[.!?]*", text.strip())
    while len(sentences) > 1 and bare(sentences[0]) in STRAY:
        del sentences[0]
    while len(sentences) > 1 and bare(sentences[-1]) in STRAY:
        del sentences[-1]
    if len(sentences) == 1 and bare(sentences[0]) in STRAY:
        return ""
    return "".join(sentences).strip()


def pointing_words(text: str, began_at: int, ended_at: int) -> tuple[Word, ...]:
    """The words that point, each with about when it was said: by its place among the letters.

    A "that" which only joins two clauses points at nothing, but can't be told from one that does.
    """
    length = max(1, len(text))
    found = []
    for match in _POINTING.finditer(text):
        middle = (match.start() + match.end()) / 2
        at = began_at + round((ended_at - began_at) * middle / length)
        found.append(Word(match.group().lower(), at))
    return tuple(found)


def heard_words(text: str, began_at: int, ended_at: int) -> Heard:
    """A text with its times (Unix ns) and its pointing words."""
    return Heard(text, began_at, ended_at, pointing_words(text, began_at, ended_at))


def _after(wake: str, text: str) -> str | None:
    """What follows the wake word at the start of a text; None where it does not start with it."""
    pattern = r"(?:(?:hey|hi|okay|ok)[\s,]+)?" + r"[\s,]+".join(map(re.escape, wake.split()))
    match = re.match(rf"\W*{pattern}\b[\s,.:!?]*", text, re.IGNORECASE)
    return None if match is None else text[match.end() :].strip()
