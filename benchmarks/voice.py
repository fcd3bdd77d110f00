"""`python -m benchmarks voice RECORDS`: the stages from the end of speech to the first sound.

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

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.result import Result, Sheet, add_outputs, publish
from devices.parser import Parser, complain
from runtime.terminal import SafeConsole

NANOSECONDS_PER_MILLISECOND = 1_000_000
STAGES = (
    "text: pause over, and understood",
    "first token of the answer",
    "first spoken sound",
)


@dataclass(frozen=True, slots=True)
class Stages:
    """Milliseconds since the end of speech at which each stage was reached, of each question.

    `bundles`: the names of those that answered.
    """

    bundles: set[str] = field(default_factory=set)
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
            stages.bundles.add(str(answer["bundle"]))
            ended_at = answer["heard"]["ended_at"]
            if answer["ttft_ms"] is None:
                continue
            asked_at, waited = answer["asked_at"], answer["ttft_ms"]
            stages.add(STAGES[1], asked_at, ended_at, waited)
            # An earlier answer may be spoken in between: this one not before its first token.
            known_at = asked_at + waited * NANOSECONDS_PER_MILLISECOND
            after = [r["began_at"] for r in spoken if r["began_at"] >= known_at]
            if after:
                stages.add(STAGES[2], min(after), ended_at)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise ValueError(f"not the records of a run: {error}") from error
    return stages


def sheet(stages: Stages) -> Sheet:
    """A row for each stage."""
    rows = tuple(
        (
            stage,
            len(times),
            round(float(np.median(times))) if times else None,
            round(max(times)) if times else None,
        )
        for stage, times in stages.reached.items()
    )
    title = f"since the end of speech, ms ({', '.join(sorted(stages.bundles))})"
    return Sheet(title, ("", "questions", "p50", "max"), rows)


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="python -m benchmarks voice",
        description="From the end of speech to the first spoken sound, by stages.",
    )
    parser.add_argument("records", type=Path, metavar="RECORDS", help="what --record wrote")
    add_outputs(parser)
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
    questions = max(len(times) for times in stages.reached.values())
    result = Result(
        "voice",
        Conditions.here(f"{questions} questions", input_hash(options.records)),
        (sheet(stages),),
    )
    return publish(result, options, SafeConsole())


if __name__ == "__main__":
    sys.exit(main())
