"""Figures beside what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure beside the most that it may be. `unit` may be empty."""

    name: str
    figure: float
    limit: float
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the figure is within its limit."""
        return self.figure <= self.limit


def findings_table(findings: Sequence[Finding]) -> Table:
    """Every figure beside its limit."""
    result = Table("", "figure", "limit", "", box=None)
    for found in findings:
        verdict = "met" if found.is_met else Text("NOT met", "bold")
        figures = (f"{value:.4g} {found.unit}" for value in (found.figure, found.limit))
        result.add_row(found.name, *figures, verdict)
    return result
