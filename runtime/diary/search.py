"""Questions about the past, as they are asked, answered from the diary's entries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from devices.clock import NANOSECONDS
from runtime.answers.questions import LETTERS
from runtime.coding.question import one_name
from runtime.diary.store import Diary, Entry

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
WORDS = {
    **dict.fromkeys(("a", "an", "one"), 1),
    **dict(
        zip(
            ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
            range(2, 11),
            strict=True,
        )
    ),
    **{"fifteen": 15, "twenty": 20, "thirty": 30, "half an": 0.5},
}
AGO = re.compile(
    rf"\b(\d+(?:\.\d+)?|{'|'.join(sorted(WORDS, key=len, reverse=True))})\s+"
    rf"({'|'.join(UNITS)})s?\s+(?:ago|earlier)\b"
)
LAST = re.compile(r"\blast\b")
AROUND = 0.1  # of the time that has passed: how exactly "ten minutes ago" is meant
LEAST_AROUND = 2.0  # seconds
BESIDE = 30 * NANOSECONDS  # what was looked at before and after
MOST_BESIDE = 3
MOST_NUMBERS = 8


@dataclass(frozen=True, slots=True)
class Recalled:
    """What the diary says: `text` for a person; `letter` of the option, where there are some;
    `entries`: that it rests on."""

    text: str
    letter: str | None
    entries: tuple[Entry, ...]

    @property
    def basis(self) -> str:
        """On what the answer rests."""
        numbers = [str(entry.number) for entry in self.entries]
        more = f" and {len(numbers) - MOST_NUMBERS} more" if len(numbers) > MOST_NUMBERS else ""
        noun = "entry" if len(numbers) == 1 else "entries"
        return f"from the diary, {noun} {', '.join(numbers[:MOST_NUMBERS])}{more}"


def recall(
    diary: Diary, question: str, options: Sequence[str], now: int, horizon: float = 0.0
) -> Recalled | None:
    """The answer at `now` (Unix ns); None for a question that is not about the past, or about the
    last `horizon` seconds, or that the diary has nothing about."""
    text = question.casefold()
    if (ago := seconds_ago(text)) is not None:
        if ago <= horizon:
            return None
        around = max(LEAST_AROUND, AROUND * ago)
        moment = now - round(ago * NANOSECONDS)
        span = [round(side * around * NANOSECONDS) for side in (-1, 1)]
        found = [each for each in diary.entries(moment + span[0], moment + span[1]) if each.thing]
        return _at_that_time(found, options, now)
    if LAST.search(text) and not options:
        named = thing_in(text, diary.things())
        entry = None if named is None else diary.last(named, now)
        if entry is not None and now - entry.at > horizon * NANOSECONDS:
            return _last_seen(diary, entry, now)
    return None


def seconds_ago(text: str) -> float | None:
    """How long before now a question means; None where it does not say."""
    match = AGO.search(text.casefold())
    if match is None:
        return None
    count = WORDS.get(match[1])
    return (float(match[1]) if count is None else count) * UNITS[match[2]]


def thing_in(text: str, things: Sequence[str]) -> str | None:
    """The thing that a question names: the longest name in it, else by its last word.

    "my keys" means "red key" where no other key is known.
    """
    words = re.findall(r"\w+", text.casefold())
    said = " ".join(words)
    whole = [thing for thing in things if re.search(rf"\b{re.escape(thing.casefold())}\b", said)]
    if whole:
        return max(whole, key=len)
    singular = {word.removesuffix("s") for word in words}
    last = [thing for thing in things if one_name(thing).split(" ")[-1] in singular]
    return last[0] if last else None


def _at_that_time(found: Sequence[Entry], options: Sequence[str], now: int) -> Recalled | None:
    if not found:
        return None
    counts = Counter(entry.thing for entry in found)
    if not options:
        names = ", ".join(thing for thing, _ in counts.most_common())
        return Recalled(f"{names} ({_when(found[0].at, now)})", None, tuple(found))
    fitting = [
        (counts[thing], letter)
        for letter, option in zip(LETTERS, options, strict=False)
        if (thing := thing_in(option, list(counts))) is not None
    ]
    if not fitting:
        return None
    letter = max(fitting, key=lambda each: each[0])[1]
    option = options[LETTERS.index(letter)]
    own = tuple(entry for entry in found if entry.thing == thing_in(option, list(counts)))
    return Recalled(option, letter, own)


def _last_seen(diary: Diary, entry: Entry, now: int) -> Recalled:
    beside = Counter(
        each.thing
        for each in diary.entries(entry.at - BESIDE, entry.at + BESIDE)
        if each.thing not in ("", entry.thing)
    )
    text = f"{entry.thing}: {_when(entry.at, now)}"
    if beside:
        text += f", near {', '.join(thing for thing, _ in beside.most_common(MOST_BESIDE))}"
    return Recalled(text, None, (entry,))


def _when(moment: int, now: int) -> str:
    at = datetime.fromtimestamp(moment / NANOSECONDS)
    day = "" if at.date() == datetime.fromtimestamp(now / NANOSECONDS).date() else f"{at:%Y-%m-%d} "
    return f"{day}{at:%H:%M:%S}, {_ago((now - moment) / NANOSECONDS)} ago"


def _ago(seconds: float) -> str:
    for unit in ("day", "hour", "minute"):
        if seconds >= UNITS[unit]:
            count = round(seconds / UNITS[unit])
            return f"{count} {unit}{'s' * (count != 1)}"
    return f"{seconds:.0f} seconds"
