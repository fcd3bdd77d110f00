"""`python -m benchmarks.coding.diary`: do live questions wait for the diary?

The same synthetic wearer is watched in real time with a diary and without, in turn, and asked the
same questions at the same moments. Each question is compared with its twin, so that what else the
machine does meets both. Measure on an idle machine: on a busy one the difference drowns.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devices import numbers
from devices.parser import Parser, complain
from runtime.diary.store import Diary
from runtime.errors import RuntimeFault
from runtime.live import main as live
from runtime.run.command_line import MINI

MOST = 1.05  # times that the median question may take with a diary
FIRST, EVERY = 4.0, 1.7  # seconds: when questions are asked
OPTIONS = ("a cup", "a knife", "a plate", "a spoon")
RESAMPLED = 2000


@dataclass(frozen=True, slots=True)
class Pair:
    """Milliseconds to the first token of one question, without a diary and with one."""

    without: float
    having: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status, 1 where the diary delays questions."""
    parser = Parser(prog="python -m benchmarks.coding.diary", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--seconds", type=numbers.seconds, default=20.0, metavar="S")
    parser.add_argument("--rounds", type=numbers.whole(1), default=6, metavar="N")
    options = parser.parse_args(arguments)
    pairs: list[Pair] = []
    entries = 0
    try:
        for number in range(options.rounds):
            with tempfile.TemporaryDirectory() as place:
                diary = Path(place) / "diary.sqlite"
                ways: list[tuple[str, ...]] = [(), ("--diary", str(diary))]
                # Which comes first changes: what grows or shrinks in time meets both alike.
                order = (0, 1) if number % 2 == 0 else (1, 0)
                times = {way: _times(options, number, ways[way], Path(place)) for way in order}
                pairs += [Pair(*both) for both in zip(times[0], times[1], strict=True)]
                opened = Diary(diary)
                entries += len(list(opened.entries()))
                opened.close()
    except RuntimeFault as error:
        complain(error)
        return 1
    ratio, low, high = ratio_of(pairs)
    without, having = ([getattr(p, name) for p in pairs] for name in ("without", "having"))
    print(f"{len(pairs)} pairs of questions, {entries} entries written")
    print(
        f"medians: without {statistics.median(without):.1f} ms, "
        f"with {statistics.median(having):.1f} ms"
    )
    print(f"median of the paired ratios {ratio:.3f} (95 %: {low:.3f} to {high:.3f})")
    return 0 if ratio <= MOST else 1


def ratio_of(pairs: Sequence[Pair]) -> tuple[float, float, float]:
    """The median of with over without, and its 95 % interval by resampling the pairs."""
    ratios = np.array([pair.having / pair.without for pair in pairs])
    random = np.random.default_rng(0)
    drawn = np.median(random.choice(ratios, (RESAMPLED, ratios.size)), axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(np.median(ratios)), float(low), float(high)


def _times(
    options: argparse.Namespace, seed: int, more: tuple[str, ...], folder: Path
) -> list[float]:
    """Milliseconds to the first token of each question of a run, in order."""
    records = folder / f"{len(more)}.jsonl"
    words = ["--seconds", f"{options.seconds:g}", "--seed", str(seed), "--no-serve"]
    for moment in np.arange(FIRST, options.seconds - 1, EVERY):
        words += ["--ask", "What am I looking at?", "--options", *OPTIONS, "--at", f"{moment:g}"]
    words += ["--bundle", str(options.bundle), "--record", str(records), *more]
    with redirect_stdout(io.StringIO()):
        if live(words) != 0:
            raise RuntimeFault("a run that is measured failed")
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    answers = [line for line in lines if line["kind"] == "answer"]
    return [line["ttft_ms"] for line in sorted(answers, key=lambda line: line["asked_at"])]


if __name__ == "__main__":
    sys.exit(main())
