"""Write the page of results: `python -m benchmarks results DIR`, from what `--json` wrote there.

DIR holds a folder for each machine, and in it a file for each run. What nobody ran is said. Beside
the page it draws a chart, and puts five lines and that chart where README.md has its marks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.instruments.catalog import BENCHMARKS
from benchmarks.instruments.conditions import ROOT
from benchmarks.instruments.page.summary import (
    decode_chart,
    decode_result,
    rewritten,
    summary_lines,
)
from benchmarks.instruments.result import Result
from devices.parser import Parser, complain

PAGE = ROOT / "benchmarks" / "RESULTS.md"
README = ROOT / "README.md"
HEAD = """# Results

Written by `python -m benchmarks results DIR`, not by hand. What nobody ran has no figures.
"""
NOT_RUN = "Not run."


def read_results(folder: Path) -> list[Result]:
    """Every result in a folder and those below it, by their paths. Raises ValueError, OSError."""
    found = []
    for path in sorted(folder.rglob("*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Result))
        except msgspec.MsgspecError as error:
            raise ValueError(f"{path} is no result of a benchmark: {error}") from error
    return found


def page(results: Sequence[Result], benchmarks: Sequence[str]) -> str:
    """A section for each benchmark, in the order given, and in it what every machine gave."""
    sections = [HEAD]
    for name in benchmarks:
        told = [each.markdown() for each in results if each.benchmark == name]
        sections.append("\n".join(told) if told else f"## {name}\n\n{NOT_RUN}\n")
    return "\n".join(sections)


def write_summary(results: Sequence[Result], picture: Path, readme: Path) -> None:
    """The chart, and the lines and the chart in the README. Raises ValueError, OSError."""
    shown = None
    if (decode := decode_result(results)) is not None:
        picture.write_text(decode_chart(decode), encoding="utf-8")
        shown = str(picture.relative_to(readme.parent))
    try:
        text = rewritten(readme.read_text(encoding="utf-8"), [*summary_lines(results)], shown)
    except ValueError as error:
        raise ValueError(f"{readme}: {error}") from error
    readme.write_text(text, encoding="utf-8")


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks results", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="with what --json wrote")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    parser.add_argument("--readme", type=Path, default=README, metavar="FILE")
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 after an error, which is one line."""
    options = arguments(command_line)
    try:
        if not options.folder.is_dir():
            raise ValueError(f"{options.folder} is no folder: give the one that holds the results")
        results = read_results(options.folder)
        names = [each.name for each in BENCHMARKS if each.writes]
        write_summary(results, options.page.with_name("results.svg"), options.readme)
        options.page.write_text(page(results, names), encoding="utf-8")
    except (ValueError, OSError) as error:
        complain(error)
        return 1
    print(f"{options.page}: {len(results)} results")
    return 0


if __name__ == "__main__":
    sys.exit(main())
