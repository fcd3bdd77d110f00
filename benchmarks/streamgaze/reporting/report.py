"""`report RUN ...`: runs side by side and beside published results, in Markdown with charts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean

from rich.console import Console

from benchmarks.streamgaze.asking.protocols import COMMON, PROPERTIES
from benchmarks.streamgaze.asking.results import Result, Run, read_run
from benchmarks.streamgaze.data.dataset import DataSetError
from benchmarks.streamgaze.data.tasks import TASKS, Task
from benchmarks.streamgaze.reporting.charts import Bars, draw_accuracies, draw_latencies
from benchmarks.streamgaze.reporting.comparison import HEADER, comparisons, paired, write_text
from benchmarks.streamgaze.reporting.published import HUMAN, PublishedRow, read_published
from benchmarks.streamgaze.reporting.summary import (
    RunSummary,
    accuracy_cell,
    percent,
    percentile,
    skip_lines,
    summarise,
)
from benchmarks.streamgaze.reporting.tables import markdown_table
from devices.parser import Parser

REPORT_FILE = "report.md"
ACCURACY_CHART, LATENCY_CHART = "accuracy.png", "latency.png"
LATENCY_SHARES = (0.5, 0.95, 0.99)
PUBLISHED_DATA = (
    "Published rows are of the StreamGaze data set: beside runs on other data they compare nothing."
)
NO_BASELINE = (
    "**None of these runs is without gaze: add one of the same engines with `--gaze none`, the "
    "baseline.**"
)
ENCODING = "vision"  # the stage that a question lacks which found its whole clip encoded


@dataclass(frozen=True, slots=True)
class Reported:
    """A run and what it came to."""

    run: Run
    summary: RunSummary

    @property
    def name(self) -> str:
        """As the report calls it: its folder."""
        return self.run.folder.name


def run(arguments: Sequence[str], console: Console) -> int:
    """The command line of a report; returns the exit status."""
    parser = Parser(
        prog="python -m benchmarks.streamgaze report",
        description="Report runs side by side: a Markdown file and charts.",
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument(
        "--published", type=Path, metavar="FILE", help="CSV of fractions: model, tasks, overall"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--no-charts", action="store_true")
    options = parser.parse_args(arguments)
    reported = [Reported(run, summarise(run)) for run in map(read_run, options.runs)]
    published = read_published(options.published) if options.published else []
    lines = list(report_lines(reported, published, not options.no_charts))
    write_text(options.out / REPORT_FILE, lines)
    if not options.no_charts:
        draw_charts(options.out, reported, published)
    console.print(f"{options.out / REPORT_FILE}: {len(reported)} runs")
    return 0


def report_lines(
    reported: Sequence[Reported], published: Sequence[PublishedRow], charts: bool
) -> Iterator[str]:
    """The report in Markdown."""
    yield "# StreamGaze, offline"
    yield ""
    yield from _conditions(reported)
    yield from _section("Accuracy by task")
    if charts:
        yield f"![accuracy by task]({ACCURACY_CHART})"
        yield ""
    yield from _accuracies(reported, published)
    for each in reported:
        yield from skip_lines(each.name, each.summary)
    if all(each.run.conditions.gaze != "none" for each in reported):
        yield ""
        yield NO_BASELINE
    if len(reported) > 1:
        yield from _section("Runs in pairs, on the same questions")
        yield from _pairs(reported)
    yield from _section("Latency")
    if charts:
        yield f"![time to first token]({LATENCY_CHART})"
        yield ""
    yield from _latencies(reported)
    yield from _section("How these figures arose")
    for line in COMMON:
        yield f"- {line}"
    for protocol in sorted({each.run.conditions.protocol for each in reported}):
        for line in PROPERTIES[protocol]:
            yield f"- {line}"


def draw_charts(
    folder: Path, reported: Sequence[Reported], published: Sequence[PublishedRow]
) -> None:
    """Write the charts of a report. Raises DataSetError where matplotlib is missing."""
    tasks = _tasks(reported)
    bars = []
    for each in reported:
        own = [each.summary.of(task) for task in tasks]
        bars.append(
            Bars(
                each.name,
                [None if task is None else task.score.accuracy for task in own],
                [0.0 if task is None else task.interval[0] for task in own],
                [0.0 if task is None else task.interval[1] for task in own],
            )
        )
    ordered = sorted(published, key=lambda row: row.model != HUMAN)
    marks = {row.model: [row.tasks.get(task) for task in tasks] for row in ordered}
    draw_accuracies(folder / ACCURACY_CHART, [task.short for task in tasks], bars, marks)
    draw_latencies(folder / LATENCY_CHART, {each.name: _ttfts(each.run) for each in reported})


def _section(title: str) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""


def _conditions(reported: Sequence[Reported]) -> Iterator[str]:
    header = ("run", "bundle", "engine", "protocol", "gaze", "asked after", "part", "questions")
    yield from markdown_table(
        header,
        (
            (
                each.name,
                f"{each.run.conditions.bundle} ({each.run.conditions.bundle_digest[:8]})",
                each.run.conditions.engine,
                each.run.conditions.protocol,
                each.run.conditions.gaze,
                f"{each.run.conditions.ask_after:g} s",
                each.run.conditions.split or "all",
                str(len(each.run.results)),
            )
            for each in reported
        ),
    )
    for each in reported:
        if each.run.conditions.weights == "random":
            yield ""
            yield f"**The weights of `{each.name}` are random: its answers mean nothing.**"


def _accuracies(reported: Sequence[Reported], published: Sequence[PublishedRow]) -> Iterator[str]:
    header = ["task", *(each.name for each in reported), *(row.model for row in published)]
    tasks = _tasks(reported)
    rows = []
    for task in tasks:
        theirs = [percent(row.tasks.get(task)) for row in published]
        rows.append([task.short, *(_accuracy(each.summary, task) for each in reported), *theirs])
    ours = [percent(each.summary.overall) for each in reported]
    rows.append(
        ["mean of tasks (official)", *ours, *(percent(_mean(row, tasks)) for row in published)]
    )
    if any(each.summary.unscored for each in reported):
        scored = [percent(each.summary.mean_of_scored) for each in reported]
        rows.append(["mean of tasks with a score", *scored, *("-" for _ in published)])
    whole = [percent(row.overall) for row in published]
    if published:
        rows.append(["overall, as published", *("-" for _ in reported), *whole])
    weighted = [
        f"{accuracy_cell(each.summary.weighted)} of {each.summary.weighted.total}"
        for each in reported
    ]
    rows.append(["question-weighted", *weighted, *("-" for _ in published)])
    yield from markdown_table(header, rows)
    yield ""
    yield "In brackets Wilson's 95 % interval. Means are over the tasks of this table."
    for each in reported:
        if each.summary.unscored:
            unscored = ", ".join(each.summary.unscored)
            yield f"Of {unscored} nothing counts in `{each.name}`: 0 % in the official mean."
    if published:
        yield PUBLISHED_DATA


def _mean(row: PublishedRow, tasks: Sequence[Task]) -> float | None:
    """Of the same tasks as the runs; None where one of them was not published."""
    if not all(task in row.tasks for task in tasks):
        return None
    return fmean(row.tasks[task] for task in tasks)


def _accuracy(summary: RunSummary, task: Task) -> str:
    own = summary.of(task)
    if own is None or own.score.accuracy is None:
        return "-"
    return f"{accuracy_cell(own.score)} of {own.score.total}"


def _pairs(reported: Sequence[Reported]) -> Iterator[str]:
    for first, second in combinations(reported, 2):
        yield f"### A: {first.name}, B: {second.name}"
        yield ""
        try:
            rows = [each.row() for each in comparisons(paired(first.run, second.run))]
            yield from markdown_table(HEADER, rows)
        except DataSetError as error:
            yield f"{error}."
        yield ""
    yield "p: McNemar's exact test, two-sided."


def _latencies(reported: Sequence[Reported]) -> Iterator[str]:
    header = ["run", "n", *(f"p{100 * share:g}, ms" for share in LATENCY_SHARES)]
    header.append("clip found encoded")
    rows = []
    for each in reported:
        times = _ttfts(each.run)
        shown = [percentile(times, share) for share in LATENCY_SHARES]
        cells = ["-" if value is None else f"{value:.1f}" for value in shown]
        found = sum(ENCODING not in result.stages_ms for result in _asked(each.run))
        rows.append([each.name, str(len(times)), *cells, str(found)])
    yield from markdown_table(header, rows)
    yield ""
    yield (
        "Time to first token: from the question, with its tail step (causal) or its clip "
        "(released) still to be encoded, to the first logits. The last column counts questions "
        "that found all of that encoded by a question before them."
    )


def _tasks(reported: Sequence[Reported]) -> list[Task]:
    return [task for task in TASKS if any(each.summary.of(task) for each in reported)]


def _asked(run: Run) -> list[Result]:
    return [result for result in run.results if result.ttft_ms is not None]


def _ttfts(run: Run) -> list[float]:
    return [result.ttft_ms for result in run.results if result.ttft_ms is not None]
