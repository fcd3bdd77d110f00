"""`python -m benchmarks NAME ...`: one question each; `python -m benchmarks all --quick`: all."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.instruments.catalog import BENCHMARKS, Benchmark
from benchmarks.instruments.result import Sheet
from devices.parser import Parser, complain
from runtime.terminal import SafeConsole

ALL = "all"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark, or all; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == [ALL]:
        return run_all(words[1:], SafeConsole())
    modules = {each.name: each.module for each in BENCHMARKS}
    if words and words[0] in modules:
        module = importlib.import_module(modules[words[0]])
        if hasattr(module, "__path__"):
            module = importlib.import_module(f"{modules[words[0]]}.__main__")
        return module.main(words[1:])
    parser = Parser(prog="python -m benchmarks", description=listed())
    parser.add_argument("name", choices=[ALL, *sorted(modules)], metavar="NAME")
    parser.parse_args(words)
    return 0


def listed() -> str:
    """Every benchmark with its question."""
    return "; ".join(f"{each.name}: {each.question}" for each in BENCHMARKS)


def run_all(arguments: Sequence[str], console: Console) -> int:
    """One after another, each in a process of its own; 1 where one could not be run.

    A limit that is not met is told in the table: of a shortened run it says little.
    """
    parser = Parser(prog="python -m benchmarks all")
    parser.add_argument("--quick", action="store_true", help="shortened: in ten minutes, it runs")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"), metavar="DIR")
    options = parser.parse_args(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        complain(f"--out {options.out}: {error.strerror}")
        return 1
    rows: list[tuple[str, str, float]] = []
    for each in BENCHMARKS:
        if each.quick is not None:
            rows.append(_in_its_own_process(each, options.out, options.quick))
            console.print(f"{rows[-1][0]}: {rows[-1][1]}")
    console.print(Sheet("all benchmarks", ("", "ended", "seconds"), tuple(rows)).table())
    console.print(f"their results are in {options.out}")
    return 0 if all(ended != "FAILED" for _, ended, _ in rows) else 1


def _in_its_own_process(each: Benchmark, folder: Path, quick: bool) -> tuple[str, str, float]:
    """Its name, how it ended, and the seconds it took."""
    written = folder / f"{each.name}.json"
    written.unlink(missing_ok=True)
    outputs = ["--json", str(written), "--markdown", str(written.with_suffix(".md"))]
    began = time.monotonic()
    shortened = each.quick or () if quick else ()
    command = [sys.executable, "-m", "benchmarks", each.name, *shortened, *outputs]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL)
    told = "measured" if ended.returncode == 0 else "a limit is not met"
    return each.name, told if written.exists() else "FAILED", time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
