"""Figures as SVG: the scarf of visits, the time on each thing, who follows whom."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from html import escape

from runtime.coding.question import NONE_LISTED
from runtime.coding.results import Coding
from runtime.coding.visits import metrics_of, transitions_of, visits_of

WIDTH = 960
UNKNOWN = "#e3e5e8"
NOTHING = "#b9bec6"
INK, FAINT = "#22262b", "#6b7380"
MOST_BARS = 40  # things in a figure; the rest is in the tables
GOLDEN = 0.618034
FONT = 'font-family="system-ui, sans-serif" font-size="12"'


def colours_of(coding: Coding) -> dict[str, str]:
    """A colour for each thing, neighbours far apart in hue."""
    colours = {}
    for place, thing in enumerate(coding.things):
        hue = (0.58 + place * GOLDEN) % 1
        light = (0.48, 0.62, 0.38)[place // 8 % 3]
        red, green, blue = colorsys.hls_to_rgb(hue, light, 0.62)
        colours[thing] = f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
    return {**colours, NONE_LISTED: NOTHING, "": UNKNOWN}


def scarf(coding: Coding, colours: Mapping[str, str]) -> str:
    """Visits along the time of the recording."""
    read = coding.source.read
    whole = max(read.end - read.start, 1)
    left, height = 8, 46
    scale = (WIDTH - 2 * left) / whole
    parts = [_rectangle(left, 0, WIDTH - 2 * left, height, "#f4f5f7")]
    for visit in visits_of(coding.fixations):
        x = left + (visit.started_at - read.start) * scale
        wide = max((visit.ended_at - visit.started_at) * scale, 0.6)
        name = visit.thing or "unsure"
        said = f"{name}, {_seconds(visit.started_at - read.start)}, {visit.milliseconds:.0f} ms"
        parts.append(_rectangle(x, 0, wide, height, colours[visit.thing], said))
    for place in range(6):
        x = left + (WIDTH - 2 * left) * place / 5
        anchor = ("start", *["middle"] * 4, "end")[place]
        parts.append(_text(x, height + 16, _seconds(round(whole * place / 5)), anchor, FAINT))
    return _figure(WIDTH, height + 24, parts, "Scarf plot")


def dwell_bars(coding: Coding, colours: Mapping[str, str]) -> str:
    """The time of fixations on each thing, the longest first."""
    metrics = [each for each in metrics_of(coding) if each.fixations]
    metrics.sort(key=lambda each: -each.total)
    metrics = metrics[:MOST_BARS]
    longest = max((each.total for each in metrics), default=1.0)
    left, bar, gap = 190, 20, 7
    parts = []
    for place, each in enumerate(metrics):
        y = place * (bar + gap)
        wide = (WIDTH - left - 250) * each.total / longest
        parts.append(_text(left - 10, y + 15, _short(each.thing, 26), "end"))
        parts.append(_rectangle(left, y, max(wide, 1), bar, colours[each.thing]))
        noun = "fixation" if each.fixations == 1 else "fixations"
        visits = "visit" if each.visits == 1 else "visits"
        said = f"{each.total / 1000:.1f} s, {each.fixations} {noun}, {each.visits} {visits}"
        parts.append(_text(left + wide + 8, y + 15, said, colour=FAINT))
    if not metrics:
        parts.append(_text(8, 16, "No fixation was on anything that is known.", colour=FAINT))
    return _figure(WIDTH, max(len(metrics) * (bar + gap), 24), parts, "Time on each thing")


def transition_matrix(coding: Coding) -> str:
    """How often gaze went from the thing of a row to that of a column."""
    counted = transitions_of(coding)
    seen = {name for pair in counted for name in pair}
    names = [name for name in (*coding.things, NONE_LISTED) if name in seen][:MOST_BARS]
    if not names:
        return _figure(WIDTH, 24, [_text(8, 16, "Gaze never went from one to another.")], "Empty")
    left, top = 190, 110
    cell = min(54, (WIDTH - left - 10) / len(names))
    most = max(counted.values())
    parts = []
    for place, name in enumerate(names):
        y = top + (place + 0.5) * cell + 4
        parts.append(_text(left - 10, y, _short(name, 26), "end"))
        x = left + (place + 0.5) * cell
        turned = f'transform="rotate(-40 {x:.1f} {top - 8})"'
        parts.append(_text(x, top - 8, _short(name, 20), extra=turned))
    for row, one in enumerate(names):
        for column, other in enumerate(names):
            count = counted[one, other]
            strength = count / most
            fill = f"rgb({_mix(247, 40, strength)},{_mix(248, 92, strength)}"
            fill += f",{_mix(250, 160, strength)})"
            x, y = left + column * cell, top + row * cell
            said = f"{one} to {other}: {count}"
            parts.append(_rectangle(x, y, cell - 1.5, cell - 1.5, fill, said))
            if count and cell >= 16:
                ink = "#ffffff" if strength > 0.5 else INK
                parts.append(_text(x + cell / 2, y + cell / 2 + 4, str(count), "middle", ink))
    return _figure(WIDTH, top + len(names) * cell + 6, parts, "Transitions")


def _figure(width: float, height: float, parts: list[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" {FONT}>'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>\n"
    )


def _rectangle(
    x: float, y: float, wide: float, high: float, fill: str, title: str | None = None
) -> str:
    place = f'x="{x:.2f}" y="{y:.2f}" width="{wide:.2f}" height="{high:.2f}" fill="{fill}"'
    return (
        f"<rect {place}/>"
        if title is None
        else (f"<rect {place}><title>{escape(title)}</title></rect>")
    )


def _text(
    x: float, y: float, text: str, anchor: str = "start", colour: str = INK, extra: str = ""
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" {extra}'
    return f"<text {place}>{escape(text)}</text>"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _seconds(nanoseconds: int) -> str:
    seconds = nanoseconds / 1e9
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}" if seconds >= 60 else f"{seconds:.1f} s"


def _mix(pale: int, strong: int, strength: float) -> int:
    return round(pale + (strong - pale) * strength)
