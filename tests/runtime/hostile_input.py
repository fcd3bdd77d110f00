"""What may come from outside: sound input, damaged at random but always in the same ways."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Callable, Iterable

KIBIBYTE = 1 << 10
SLOWEST = 0.05 / (64 * KIBIBYTE)  # seconds a byte, of what is longer than that
NONSENSE = (
    *(None, True, -1, 0, 2, 10**9, -(10**30), 1e300, -0.5, float("nan"), float("inf")),
    *("", " ", "A", "\ud800", "a\x00b", "\x1b[2J", "../../etc/passwd", "é" * 300, "9" * 400),
    *([], {}, [None], [[0], {}], {"": []}, {"questions": [[]], "type": {}}),
)
SNIPPETS = (b"\x00", b"\xff\xfe", b'"', b"[" * 50, b"{", b"\\ud800", b"NaN", b"-1e999", b"9" * 40)


def nested(depth: int) -> object:
    """A list in a list, so often."""
    value: object = []
    for _ in range(depth):
        value = [value]
    return value


def mutated(draws: random.Random, value: object) -> object:
    """The value with something within replaced, left out, doubled or moved."""
    if isinstance(value, dict) and value and draws.random() < 0.95:
        name = draws.choice(list(value))
        kept = dict(value)
        if draws.random() < 0.05:
            del kept[name]
        elif draws.random() < 0.05:
            kept[draws.choice(list(value))] = value[name]
        else:
            kept[name] = mutated(draws, value[name])
        return kept
    if isinstance(value, list | tuple) and value and draws.random() < 0.9:
        place = draws.randrange(len(value))
        inside = draws.choice([[mutated(draws, value[place])], [], [value[place]] * 2])
        return [*value[:place], *inside, *value[place + 1 :]]
    if isinstance(value, int | float) and draws.random() < 0.3:
        return draws.choice([value + 1, value - 1, -value, value * 1000, float(value)])
    if isinstance(value, str) and draws.random() < 0.3:
        place = draws.randrange(len(value) + 1)
        return value[:place] + draws.choice(["\ud800", "\n", "\x00", ":", "."]) + value[place:]
    return nested(draws.randrange(400)) if draws.random() < 0.03 else draws.choice(NONSENSE)


def damaged(draws: random.Random, data: bytes) -> bytes:
    """The bytes, a few of them turned, cut out, doubled or put in."""
    for _ in range(draws.randrange(1, 4)):
        place, length = draws.randrange(len(data) + 1), draws.randrange(1, 40)
        change = draws.randrange(5)
        before, after = data[:place], data[place:]
        if change == 0 and after:
            data = before + bytes([after[0] ^ 1 << draws.randrange(8)]) + after[1:]
        elif change == 1:
            data = before + after[length:]
        elif change == 2:
            data = before + after[:length] * 2 + after[length:]
        elif change == 3:
            data = before + draws.choice(SNIPPETS) + after
        else:
            data = before if draws.random() < 0.2 else before + draws.randbytes(length) + after
    return data


def attack(parse: Callable[[bytes], bool], cases: Iterable[bytes]) -> tuple[int, int]:
    """Parse every case; how many were taken and how many refused. No case may be slow.

    `parse` says whether it took a case, and raises for what no parser may raise.
    """
    taken = refused = 0
    gc.collect()
    gc.disable()  # what a collection costs is no matter of the case that sets it off
    try:
        for number, case in enumerate(cases):
            spent, took = timed(parse, case)
            limit = SLOWEST * max(len(case), 64 * KIBIBYTE)
            if spent >= limit:  # unless it was something else that took the time
                spent = min(timed(parse, case)[0] for _ in range(3))
            assert spent < limit, (spent, case[:200])
            taken, refused = taken + took, refused + (not took)
            if number % 1000 == 0:
                gc.collect()
    finally:
        gc.enable()
    return taken, refused


def timed(parse: Callable[[bytes], bool], case: bytes) -> tuple[float, bool]:
    """Its seconds of CPU time, and whether it was taken."""
    began = time.thread_time()
    took = parse(case)
    return time.thread_time() - began, took


def peak(parse: Callable[[bytes], bool], case: bytes) -> int:
    """Bytes that parsing a case takes at most, beside the case itself."""
    tracemalloc.start()
    try:
        parse(case)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
