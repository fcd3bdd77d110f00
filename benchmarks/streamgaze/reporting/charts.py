"""The charts of a report, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.streamgaze.data.dataset import DataSetError
from benchmarks.streamgaze.reporting.published import HUMAN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1f6f8b", "#e0a030", "#9a9a9a", "#b05a7a", "#5a8f4a", "#6a5acd")


@dataclass(frozen=True, slots=True)
class Bars:
    """Accuracies (fractions) of a run by label, with the ends of their intervals."""

    name: str
    values: Sequence[float | None]
    lows: Sequence[float]
    highs: Sequence[float]


def draw_accuracies(
    path: Path, labels: Sequence[str], bars: Sequence[Bars], marks: Mapping[str, Sequence]
) -> None:
    """Runs as bars with 95 % intervals; published rows, by name, as marks (None: no figure)."""
    figure, axes = new_figure(width=2 + 1.1 * len(labels))
    places, width = np.arange(len(labels)), 0.8 / max(1, len(bars))
    for number, own in enumerate(bars):
        offset = (number - (len(bars) - 1) / 2) * width
        heights = np.array([100 * (value or 0.0) for value in own.values])
        below = np.maximum(heights - 100 * np.array(own.lows), 0)
        above = np.maximum(100 * np.array(own.highs) - heights, 0)
        axes.bar(
            places + offset,
            heights,
            width,
            yerr=np.stack([below, above]),
            label=own.name,
            color=COLOURS[number % len(COLOURS)],
            error_kw={"linewidth": 0.8, "capsize": 2},
        )
    for name, values in marks.items():
        heights = [np.nan if value is None else 100 * value for value in values]
        axes.plot(places, heights, "*" if name == HUMAN else "_", markersize=12, label=name)
    axes.set_xticks(places, labels)
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(0, 100)
    save_figure(figure, axes, path)


def draw_latencies(path: Path, latencies: Mapping[str, Sequence[float]]) -> None:
    """The share of questions (%) answered within so many milliseconds, by run."""
    figure, axes = new_figure(width=7)
    for number, (name, values) in enumerate(latencies.items()):
        ordered = np.sort(np.array(values))
        shares = 100 * np.arange(1, ordered.size + 1) / max(1, ordered.size)
        axes.step(ordered, shares, where="post", label=name, color=COLOURS[number % len(COLOURS)])
    axes.set_xlabel("time to first token, ms")
    axes.set_ylabel("questions, %")
    axes.set_ylim(0, 100)
    axes.set_xlim(left=0)
    save_figure(figure, axes, path)


def require_charts() -> None:
    """Raises DataSetError where matplotlib is missing."""
    try:
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401 - whether it can be had
    except ImportError as error:
        raise DataSetError("charts need the extra 'report': install it, or ask for none") from error


def new_figure(width: float):  # noqa: ANN201 - matplotlib's types are known only where it is installed
    """A figure (inches wide) and its axes. Raises DataSetError where matplotlib is missing."""
    require_charts()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def save_figure(figure, axes: Axes, path: Path) -> None:  # noqa: ANN001
    """Write a figure with grid and legend as PNG."""
    axes.grid(axis="y", linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=130)
