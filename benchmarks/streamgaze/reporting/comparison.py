"""`compare RUN_A RUN_B`: two runs on the questions that both answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.streamgaze.asking.results import Result, Run, read_run
from benchmarks.streamgaze.data.dataset import DataSetError
from benchmarks.streamgaze.data.scoring import Score, overall
from benchmarks.streamgaze.data.tasks import TASKS
from benchmarks.streamgaze.reporting.significance import mcnemar
from benchmarks.streamgaze.reporting.summary import accuracy_cell, percent, skip_lines, summarise
from benchmarks.streamgaze.reporting.tables import markdown_table
from devices.parser import Parser

Pair = tuple[Result, Result]
HEADER = ("task", "n", "A", "B", "B - A", "only A right", "only B right", "p", "same answer")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs on the same questions. `p`: McNemar's exact test, two-sided."""

    name: str
    first: Score
    second: Score
    only_first: int
    only_second: int
    same: int

    @classmethod
    def of(cls, name: str, pairs: Sequence[Pair]) -> Comparison:
        """Compare pairs of results, each of one question."""
        first = sum(bool(one.correct) for one, _ in pairs)
        second = sum(bool(other.correct) for _, other in pairs)
        both = sum(bool(one.correct and other.correct) for one, other in pairs)
        same = sum(one.response == other.response for one, other in pairs)
        count = len(pairs)
        return cls(
            name, Score(first, count), Score(second, count), first - both, second - both, same
        )

    @property
    def p(self) -> float:
        """The chance of so uneven a split between equally good runs."""
        return mcnemar(self.only_first, self.only_second)

    def row(self) -> tuple[str, ...]:
        """As a table shows it."""
        count = self.first.total
        difference = 100 * (self.second.correct - self.first.correct) / count
        return (
            self.name,
            str(count),
            accuracy_cell(self.first),
            accuracy_cell(self.second),
            f"{difference:+.1f}",
            str(self.only_first),
            str(self.only_second),
            f"{self.p:.2g}",
            percent(self.same / count),
        )


def paired(first: Run, second: Run) -> list[Pair]:
    """The questions that both runs were answered, in the first one's order.

    Raises DataSetError where there are none.
    """
    answers = {result.key: result for result in second.results if result.response is not None}
    pairs = [
        (result, answers[result.key])
        for result in first.results
        if result.response is not None and result.key in answers
    ]
    if not pairs:
        raise DataSetError(
            f"{first.folder} and {second.folder} have no answered question in common"
        )
    return pairs


def comparisons(pairs: Sequence[Pair]) -> Iterator[Comparison]:
    """By task, then of all together."""
    for task in TASKS:
        own = [pair for pair in pairs if pair[0].key.task == task.name]
        if own:
            yield Comparison.of(task.short, own)
    yield Comparison.of("all", pairs)


def differences(first: Run, second: Run) -> list[str]:
    """In what the two were run differently, in words."""
    ours, theirs = asdict(first.conditions), asdict(second.conditions)
    return [
        f"{name.replace('_', ' ')}: A {value}, B {theirs[name]}"
        for name, value in ours.items()
        if value != theirs[name]
    ]


def comparison_lines(first: Run, second: Run) -> Iterator[str]:
    """The comparison in Markdown."""
    pairs = paired(first, second)
    yield f"A is {first.folder.name}, B is {second.folder.name}."
    yield ""
    for line in differences(first, second) or ["Both were run alike."]:
        yield f"- {line}"
    yield ""
    compared = list(comparisons(pairs))
    yield from markdown_table(HEADER, (each.row() for each in compared))
    yield ""
    *tasks, _ = compared
    means = percent(overall(t.first for t in tasks)), percent(overall(t.second for t in tasks))
    yield f"Mean of these tasks, unweighted: A {means[0]}, B {means[1]}"
    for run in (first, second):
        yield from skip_lines(run.folder.name, summarise(run))
    yield ""
    yield (
        f"{len(pairs)} questions answered in both runs ({len(first.results)} in A, "
        f"{len(second.results)} in B); `all` weighs every question alike. In brackets Wilson's "
        "95 % interval. p: McNemar's exact test, two-sided, on the questions that only one of them "
        "got right."
    )


def run(arguments: Sequence[str], console: Console) -> int:
    """The command line of a comparison; returns the exit status."""
    parser = Parser(
        prog="python -m benchmarks.streamgaze compare",
        description="Compare two runs on the questions that both answered.",
    )
    parser.add_argument("first", type=Path, metavar="RUN_A")
    parser.add_argument("second", type=Path, metavar="RUN_B")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write Markdown here as well")
    options = parser.parse_args(arguments)
    lines = list(comparison_lines(read_run(options.first), read_run(options.second)))
    for line in lines:
        console.print(line)
    if options.out is not None:
        write_text(options.out, lines)
    return 0


def write_text(path: Path, lines: Sequence[str]) -> None:
    """Write lines to a file. Raises DataSetError where that can't be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    except OSError as error:
        raise DataSetError(f"--out {path}: can't be written: {error.strerror}") from error
