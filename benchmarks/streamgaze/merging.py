"""`merge RUN...`: one run of several that were made alike, as of shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.streamgaze.asking.results import RUNS, Conditions, Result, Run, read_run
from benchmarks.streamgaze.data.dataset import DataSetError
from benchmarks.streamgaze.data.questions import QuestionKey
from benchmarks.streamgaze.reporting.summary import summary_lines
from devices.parser import Parser
from runtime.ledger import Ledger


def run(arguments: Sequence[str], console: Console) -> int:
    """The command line; returns the exit status."""
    parser = Parser(
        prog="python -m benchmarks.streamgaze merge",
        description="Make one run of several, sorted by question; each question once.",
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN")
    parser.add_argument(
        "--untimed",
        action="store_true",
        help="leave out how long answers took: what is left is the same wherever it ran",
    )
    options = parser.parse_args(arguments)
    merged = merge(options.runs, options.out, options.untimed)
    for line in summary_lines(merged):
        console.print(line)
    return 0


def merge(folders: Sequence[Path], out: Path, is_untimed: bool = False) -> Run:
    """The union of runs by question, in `out`, which may hold a part of it already.

    Raises DataSetError for runs made differently, and for ones that answer differently.
    """
    runs = [read_run(folder) for folder in folders]
    conditions = _common(runs)
    found: dict[QuestionKey, Result] = {}
    ledger = Ledger(RUNS, out, conditions)
    try:
        for folder, results in ((out, ledger.before), *((run.folder, run.results) for run in runs)):
            for result in results:
                kept = found.setdefault(result.key, result)
                if untimed(kept) != untimed(result):
                    raise DataSetError(f"{folder}: another result than elsewhere: {result.key}")
        held = {result.key for result in ledger.before}
        fresh = sorted((each for each in found.values() if each.key not in held), key=_order)
        ledger.append([untimed(each) if is_untimed else each for each in fresh])
        return Run(out, conditions, tuple(ledger.read()))
    finally:
        ledger.close()


def untimed(result: Result) -> Result:
    """A result without its timing."""
    return replace(result, ttft_ms=None, stages_ms={})


def _common(runs: Sequence[Run]) -> Conditions:
    first = runs[0]
    for run in runs[1:]:
        if run.conditions != first.conditions:
            raise DataSetError(
                f"{run.folder} was made differently from {first.folder}: `compare` says how"
            )
    return first.conditions


def _order(result: Result) -> tuple[str, str, str, str, int]:
    key = result.key
    return key.video, key.task, key.time, key.question, key.number
