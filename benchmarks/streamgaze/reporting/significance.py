"""How far a figure can be trusted: intervals, and the test of two runs on the same questions."""

from __future__ import annotations

import math

NORMAL_95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution


def wilson(correct: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a fraction; everything is possible of nothing."""
    if total == 0:
        return 0.0, 1.0
    share, square = correct / total, NORMAL_95**2
    centre = share + square / (2 * total)
    spread = NORMAL_95 * math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    scale = 1 + square / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of McNemar's test.

    `only_first`, `only_second`: questions that only one of two runs answered right. p is the chance
    of a split at least so uneven if both were equally good.
    """
    unequal = only_first + only_second
    if unequal == 0:
        return 1.0
    fewer = min(only_first, only_second)
    ways = splits = 1  # of choosing none; each next number of ways from the one before it
    for count in range(fewer):
        splits = splits * (unequal - count) // (count + 1)
        ways += splits
    return min(1.0, 2 * _ratio(ways, unequal))


def _ratio(ways: int, flips: int) -> float:
    """ways / 2**flips, for integers of any size."""
    shift = max(0, ways.bit_length() - 64)
    return math.ldexp(ways >> shift, shift - flips)
