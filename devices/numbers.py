"""Numbers of a command line, each with the range that it may have: types for argparse."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable

MOST_SEED = 2**63 - 1  # of PyTorch's generators
MOST_SECONDS = 1e8  # three years: in Unix nanoseconds it still leaves room in 64 bits


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """An integer of at least `least`, at most `most` (None: any)."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < least or (most is not None and value > most):
            raise ArgumentTypeError(f"{text}: give {_range(least, most)}")
        return value

    return parse


def number(
    least: float, most: float = math.inf, *, above: bool = False, endless: bool = False
) -> Callable[[str], float]:
    """A finite number of at least `least` (`above`: more than that), at most `most`.

    `endless`: `inf` may be given, too.
    """

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!r} is not a number") from None
        if endless and value == math.inf:
            return value
        inside = value > least if above else value >= least
        if not (math.isfinite(value) and inside and value <= most):
            described = _range(least, most, above) + (", or inf for no end" if endless else "")
            raise ArgumentTypeError(f"{text}: give {described}")
        return value

    return parse


def _range(least: float, most: float | None, above: bool = False) -> str:
    lower = f"{'more than' if above else 'at least'} {least:g}"
    return lower if most is None or most == math.inf else f"{lower}, at most {most:g}"


seed = whole(0, MOST_SEED)
seconds = number(0, MOST_SECONDS, above=True)
