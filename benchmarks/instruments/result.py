"""What every benchmark ends with: tables on the screen, in JSON and in Markdown."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.instruments.conditions import Conditions
from benchmarks.instruments.findings import Finding, findings_table
from benchmarks.instruments.outputs import result_file, write_result

Value = float | int | str | None
NOT_MEASURED = ""
MANY = 1000  # from here on, figures have no decimals


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table. The first column names a row; None is what was not measured."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def table(self) -> Table:
        """For the screen."""
        result = Table(title=self.title or None)
        for place, column in enumerate(self.columns):
            result.add_column(column, justify="right" if place else "left")
        for row in self.rows:
            result.add_row(*map(told, row))
        return result

    def lines(self) -> Iterator[str]:
        """As Markdown."""
        if self.title:
            yield from (f"**{self.title}**", "")
        yield f"| {' | '.join(self.columns)} |"
        yield f"|---|{'---:|' * (len(self.columns) - 1)}"
        for row in self.rows:
            yield f"| {' | '.join(map(told, row))} |"


@dataclass(frozen=True, slots=True)
class Result:
    """`details`: whatever else one benchmark keeps, such as the figure of every round."""

    benchmark: str
    conditions: Conditions
    sheets: tuple[Sheet, ...]
    findings: tuple[Finding, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_met(self) -> bool:
        """Whether every figure is within its limit."""
        return all(found.is_met for found in self.findings)

    def json(self) -> bytes:
        """All of it."""
        content = {
            "benchmark": self.benchmark,
            "conditions": asdict(self.conditions),
            "sheets": [asdict(sheet) for sheet in self.sheets],
            "findings": [asdict(found) | {"met": found.is_met} for found in self.findings],
            "details": msgspec.to_builtins(self.details),
        }
        return json.dumps(content, indent=1).encode() + b"\n"

    def markdown(self) -> str:
        """A section of a page, without the details."""
        lines = [f"## {self.benchmark}", ""]
        for sheet in self.sheets:
            lines += [*sheet.lines(), ""]
        if self.findings:
            lines += [*_findings_sheet(self.findings).lines(), ""]
        return "\n".join([*lines, *self.conditions.lines(), ""])


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """The options of every benchmark that say where its result goes besides the screen."""
    for name, what in (("--json", "every figure"), ("--markdown", "the tables")):
        parser.add_argument(name, type=result_file, metavar="FILE", help=f"write {what} here, too")


def publish(result: Result, options: argparse.Namespace, console: Console) -> int:
    """Print and write; returns the exit status: 1 where a limit is not met. Raises OSError."""
    for sheet in result.sheets:
        console.print(sheet.table())
    if result.findings:
        console.print(findings_table(result.findings))
    if options.json is not None:
        write_result(options.json, result.json())
    if options.markdown is not None:
        write_result(options.markdown, result.markdown().encode())
    return 0 if result.is_met else 1


def told(value: Value) -> str:
    """A figure as people read it."""
    if value is None:
        return NOT_MEASURED
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= MANY else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value


def _findings_sheet(findings: tuple[Finding, ...]) -> Sheet:
    rows = tuple(
        (found.name, found.figure, found.limit, found.unit, "met" if found.is_met else "NOT met")
        for found in findings
    )
    return Sheet("", ("", "figure", "limit", "unit", ""), rows)
