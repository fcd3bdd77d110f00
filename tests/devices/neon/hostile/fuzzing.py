"""Every parser of the live devices under seeded damage.

`python tests/devices/neon/hostile/fuzzing.py --count 1000000 [--parser rtcp]`: prints figures for
each parser; exit status 1 if one raised what is not its own, or took more than 50 ms of processor
time per 64 KiB.
"""

import argparse
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parents[3]
if __name__ == "__main__":
    sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "devices/neon/hostile")]

import numpy as np
from fuzzed_parsers import PARSERS as PHONE_PARSERS
from fuzzed_sound import SOUND_PARSERS

PARSERS = PHONE_PARSERS | SOUND_PARSERS

SLOWEST, PER = 0.05, 2**16
"""Seconds of processor time, for so many bytes."""
TOKENS = (
    b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xc0\0\0", b"\x7f\x80\0\0", b"\xff\x80\0\0", b"-1",
    b"99999999999999999999", b"NaN", b"1e999", b"\r\n\r\n", b"\r\n", b"$\0\xff\xff", b"RTSP/1.0 ",
    b"Content-Length: ", b"=", b",", b";", b"a=fmtp:96 ", b"\0\0\1", b"\0\0\3", b"{", b"[", b"null",
    b"\xed\xa0\x80", b"\x1b[2J", b'"', b"\x80\xc8", b"\x18", b"\x7c\x85", b"\x7c\x45", b"\x67",
    b"\x65",
)  # fmt: skip


def damaged(draw, corpus):
    """One case: something of the corpus with a few bits, bytes, pieces or lengths changed."""
    data = bytearray(corpus[draw.integers(len(corpus))])
    for _ in range(int(draw.integers(1, 6))):
        kind, place = int(draw.integers(9)), int(draw.integers(len(data) + 1))
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << int(draw.integers(8))
        elif kind in (1, 2) and data:
            data[place % len(data)] = int(draw.integers(256))
        elif kind == 3:
            del data[place : place + int(draw.integers(1, 20))]
        elif kind == 4:
            data[place:place] = draw.bytes(int(draw.integers(1, 12)))
        elif kind == 5:
            data[place:place] = TOKENS[draw.integers(len(TOKENS))]
        elif kind == 6:
            token = TOKENS[draw.integers(len(TOKENS))]
            data[place : place + len(token)] = token
        elif kind == 7:
            data[place:place] = data[int(draw.integers(len(data) + 1)) :][:400]
        elif draw.random() < 0.02:
            piece = bytes(data[place : place + 40]) or b"\0"
            data[place:place] = piece * int(draw.integers(1, PER // len(piece)))
    return bytes(data)


@dataclass
class Figures:
    """Of one parser's cases. `slowest`: seconds of processor time per 64 KiB, or per case."""

    cases: int = 0
    accepted: int = 0
    slowest: float = 0.0
    grown: int = 0
    wrong: str = ""


def resident():
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def seconds(parser, data):
    began = time.thread_time()
    accepted = parser.accepts(data)
    return time.thread_time() - began, accepted


def fuzz(name, count, seed=0):
    """Run so many cases of a parser; the same seed gives the same cases."""
    parser, draw, figures = PARSERS[name], np.random.default_rng((seed, len(name))), Figures()
    before = None
    for number in range(count):
        data = damaged(draw, parser.corpus)
        try:
            spent, accepted = seconds(parser, data)
            share = max(1.0, len(data) / PER)
            if spent > SLOWEST * share:  # unless it was something else that took the time
                spent = min(spent, *(seconds(parser, data)[0] for _ in range(3)))
        except Exception as error:
            figures.wrong = f"{type(error).__name__}: {error} at {data[:200]!r}"
            break
        figures.cases += 1
        figures.accepted += accepted
        figures.slowest = max(figures.slowest, spent / share)
        if number == count // 10:
            before = resident()
    figures.grown = resident() - (before or resident())
    return figures


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=1_000_000)
    options.add_argument("--parser", choices=PARSERS, action="append")
    options.add_argument("--seed", type=int, default=0)
    options = options.parse_args()
    failed = False
    for name in options.parser or PARSERS:
        began = time.process_time()
        figures = fuzz(name, max(1, options.count // PARSERS[name].cost), options.seed)
        failed |= bool(figures.wrong) or figures.slowest > SLOWEST
        print(
            f"{name:12} {figures.cases:9,} cases, {figures.accepted / max(1, figures.cases):4.0%} "
            f"accepted, slowest {figures.slowest * 1000:5.1f} ms, grown by "
            f"{figures.grown / 2**20:.1f} MiB, {time.process_time() - began:.0f} s {figures.wrong}",
            flush=True,
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())
