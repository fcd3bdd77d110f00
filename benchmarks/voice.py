"""`python -m benchmarks.voice RECORDS`: the stages from the end of speech to the first sound.

RECORDS is what a run with `--listen --speak --record RECORDS` wrote.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from devices.parser import Parser, complain

NANOSECONDS_PER_MILLISECOND = 1_000_000
STAGES = (
    "text: pause over, and understood",
    "first token of the answer",
    "first spoken sound",
)


@dataclass(frozen=True, slots=True)
class Stages:
    """Milliseconds since the end of speech at which each stage was reached, of each question."""

    reached: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})

    def add(self, stage: str, moment: int, ended_at: int, later: float = 0.0) -> None:
        """A stage was reached `later` ms after `moment`; the speech ended then (both Unix ns)."""
        self.reached[stage].append((moment - ended_at) / NANOSECONDS_PER_MILLISECOND + later)


def read_stages(lines: Sequence[bytes]) -> Stages:
    """Every spoken question's way through the records. Raises ValueError for what is none."""
    try:
        records = [msgspec.json.decode(line, type=dict[str, Any]) for line in lines]
        stages = Stages()
        heard = [r for r in records if r["kind"] == "heard" and r["taken_as"] == "question"]
        answers = [r for r in records if r["kind"] == "answer" and r["heard"] is not None]
        spoken = [r for r in records if r["kind"] == "spoken" and r["why"] == "answer"]
        for record in heard:
            stages.add(STAGES[0], record["understood_at"], record["ended_at"])
        for answer in answers:
            ended_at = answer["heard"]["ended_at"]
            if answer["ttft_ms"] is None:
                continue
            asked_at = answer["asked_at"]
            stages.add(STAGES[1], asked_at, ended_at, answer["ttft_ms"])
            after = [r["began_at"] for r in spoken if r["began_at"] >= asked_at]
            if after:
                stages.add(STAGES[2], min(after), ended_at)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise ValueError(f"not the records of a run: {error}") from error
    return stages


def table(stages: Stages) -> str:
    """The stages, as a table of Markdown."""
    rows = ["| since the end of speech, ms | questions | p50 | max |", "|---|---|---|---|"]
    for stage, times in stages.reached.items():
        figures = f"{np.median(times):.0f} | {max(times):.0f}" if times else "- | -"
        rows.append(f"| {stage} | {len(times)} | {figures} |")
    return "\n".join(rows)


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="python -m benchmarks.voice",
        description="From the end of speech to the first spoken sound, by stages.",
    )
    parser.add_argument("records", type=Path, metavar="RECORDS", help="what --record wrote")
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None) -> int:
    """The exit status: 1 after an error, which is one line."""
    options = arguments(command_line)
    try:
        stages = read_stages(options.records.read_bytes().splitlines())
    except OSError as error:
        complain(f"{options.records}: {error.strerror}")
        return 1
    except ValueError as error:
        complain(f"{options.records}: {error}")
        return 1
    if not any(stages.reached.values()):
        complain(f"{options.records}: nothing was asked aloud in this run")
        return 1
    print(table(stages))
    return 0


if __name__ == "__main__":
    sys.exit(main())
