"""Decoders timed in turns, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.instruments.decoders.workload import Decoder, Workload
from runtime.errors import RuntimeFault


class DecoderLost(RuntimeFault):
    """A decoder can't be measured, or not to the end. The message is one line: why."""


@dataclass(slots=True)
class Times:
    """Seconds of every round at one depth: prefill up to there, and a token decoded there."""

    prefill: list[float] = field(default_factory=list)
    decode: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Rounds:
    """`times` by decoder and depth; `logits` (answer, vocabulary) of each decoder behind the whole
    context; `lost`: why a decoder has none of both."""

    times: dict[str, dict[int, Times]] = field(default_factory=dict)
    logits: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)

    def drop(self, name: str, why: str) -> None:
        """A decoder did not last."""
        self.lost[name] = why
        self.times.pop(name, None)
        self.logits.pop(name, None)

    def ratio(self, above: str, below: str, stage: str, depth: int) -> float:
        """How many times as long one takes as the other: the median over rounds."""
        one, other = (getattr(self.times[name][depth], stage) for name in (above, below))
        return float(np.median(np.divide(one, other)))

    def median(self, name: str, stage: str, depth: int) -> float:
        """Seconds."""
        return float(np.median(getattr(self.times[name][depth], stage)))


def measure(
    decoders: Sequence[Decoder],
    workload: Workload,
    depths: Sequence[int],
    rounds: int,
    tokens: int,
    say: Callable[[str], None] = lambda said: None,
) -> Rounds:
    """Time all decoders `rounds` times in turns, after one round that is not counted.

    In each a context is filled once, and `tokens` tokens are decoded at every depth, at the same
    place; of them the median counts. Who is first changes from round to round.
    """
    found = Rounds({each.name: {depth: Times() for depth in depths} for each in decoders})
    for number in range(rounds + 1):
        say(f"round {number} of {rounds}")
        first = number % len(decoders)
        for decoder in (*decoders[first:], *decoders[:first]):
            if decoder.name in found.lost:
                continue
            try:
                of_round = list(_round(decoder, workload, depths, tokens))
                if number == 0:
                    found.logits[decoder.name] = decoder.follow()
            except DecoderLost as error:
                found.drop(decoder.name, str(error))
                continue
            for depth, prefill, decode in of_round if number else ():
                found.times[decoder.name][depth].prefill.append(prefill)
                found.times[decoder.name][depth].decode.append(decode)
    return found


def _round(
    decoder: Decoder, workload: Workload, depths: Sequence[int], tokens: int
) -> Iterator[tuple[int, float, float]]:
    """At every depth: seconds of prefill up to there, and of a token."""
    decoder.clear()
    length, prefill = 0, 0.0
    for step in range(workload.steps):
        prefill += decoder.append(step)
        length += len(workload.tokens_of(step))
        if length in depths:
            decoder.decode()
            yield length, prefill, float(np.median([decoder.decode() for _ in range(tokens)]))
