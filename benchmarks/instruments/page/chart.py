"""Bars beside each other as an SVG: what GitHub shows, and no other program has to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LEFT, BAR, GAP, ROW = (
    190,
    250,
    60,
    22,
)  # pixels: names, longest bar, between groups, from row to row
TOP, FONT = 44, "font-family='system-ui, sans-serif' font-size='12'"
OURS, OTHERS, INK = "#2f6f4f", "#b9b9b0", "#6b6b66"


@dataclass(frozen=True, slots=True)
class Bar:
    """A row: one figure for each group, None where it was not measured."""

    name: str
    is_ours: bool
    figures: tuple[float | None, ...]


def chart(title: str, groups: Sequence[str], bars: Sequence[Bar]) -> str:
    """Every group has a scale of its own, from zero to its longest bar."""
    width = LEFT + len(groups) * (BAR + GAP)
    height = TOP + ROW * len(bars) + 8
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
        f"viewBox='0 0 {width} {height}' role='img'>",
        f"<title>{escape(title)}</title>",
        _text(0, 14, title, weight="bold"),
    ]
    for place, group in enumerate(groups):
        left = LEFT + place * (BAR + GAP)
        figures = [bar.figures[place] for bar in bars]
        longest = max((each for each in figures if each is not None), default=1.0)
        parts.append(_text(left, TOP - 10, group))
        for row, (bar, figure) in enumerate(zip(bars, figures, strict=True)):
            top = TOP + row * ROW
            if place == 0:
                parts.append(_text(LEFT - 8, top + 13, bar.name, anchor="end"))
            if figure is None:
                parts.append(_text(left, top + 13, "not measured"))
                continue
            long, colour = figure / longest * BAR, OURS if bar.is_ours else OTHERS
            size = f"width='{long:.1f}' height='{ROW - 6}'"
            parts.append(f"<rect x='{left}' y='{top}' {size} fill='{colour}'/>")
            parts.append(_text(left + long + 5, top + 13, f"{figure:.3g}"))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    """Readable on a light and on a dark page."""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' {FONT} font-weight='{weight}' text-anchor='{anchor}' "
        f"fill='{INK}'>{escape(text)}</text>"
    )
