"""The page of results in five lines and a chart, for those who read no more than that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.instruments.page.chart import Bar, chart
from benchmarks.instruments.result import Result, told

SHAPE, THREADS = "0.5b", 1  # what the chart is of
OURS = ("int4, float", "int4, int8", "int8", "float32")
TORCH = "PyTorch bf16"
BEGIN, END = "<!-- from benchmarks/RESULTS.md -->", "<!-- until here -->"
NOTHING = "Nothing was measured on an idle machine yet."


def decode_result(results: Sequence[Result]) -> Result | None:
    """The first of the decoder in the shape and with the threads that the chart is of."""
    return next(
        (
            each
            for each in results
            if each.benchmark == "decode"
            and each.details.get("shape") == SHAPE
            and each.details.get("threads") == THREADS
        ),
        None,
    )


def decode_chart(found: Result) -> str:
    """Decode and prefill of every decoder in tokens per second."""
    bars = [
        Bar(name, name in OURS, (row["tokens/s"], row["prefill tokens/s"]))
        for name, row in rows_of(found, 0).items()
        if row["tokens/s"] is not None
    ]
    title = f"0.5B shape, one thread of {found.conditions.processor}, tokens per second"
    return chart(title, ("decode", "prefill"), bars)


def rows_of(found: Result, sheet: int) -> dict[str, dict[str, object]]:
    """The rows of a table by name and column."""
    table = found.sheets[sheet]
    return {str(row[0]): dict(zip(table.columns[1:], row[1:], strict=True)) for row in table.rows}


def summary_lines(results: Sequence[Result]) -> Iterator[str]:
    """At most five, of what was measured; each says on what."""
    by_name: dict[str, Result] = {}
    for each in results:
        by_name.setdefault(each.benchmark, each)
    if (found := decode_result(results)) is not None:
        by_name["decode"] = found
    makers = {
        "reference": _reference_line,
        "decode": _decode_line,
        "injection": _injection_line,
        "end_to_end": _knee_line,
        "memory": _memory_line,
    }
    for name, line in makers.items():
        if name in by_name:
            found = by_name[name]
            yield f"- {line(found)} ({found.conditions.processor})"


def _reference_line(found: Result) -> str:
    rows = rows_of(found, 0)
    ratio = told(rows[f"{TORCH}, the released way"]["times ours"])
    first = told(rows["ours, kept"]["p50"])
    return f"first token after {first} ms, {ratio} times sooner than the released way in PyTorch"


def _decode_line(found: Result) -> str:
    rows = {name: row for name, row in rows_of(found, 0).items() if row["tokens/s"] is not None}
    ours = {name: row for name, row in rows.items() if name in OURS}
    fast = max(ours, key=lambda name: ours[name]["tokens/s"])
    filled = max(ours, key=lambda name: ours[name]["prefill tokens/s"])
    line = (
        f"decode {told(ours[fast]['tokens/s'])} tokens/s ({fast}), prefill "
        f"{told(ours[filled]['prefill tokens/s'])} ({filled})"
    )
    if TORCH in rows:
        torch = rows[TORCH]
        line += f"; {TORCH} {told(torch['tokens/s'])} and {told(torch['prefill tokens/s'])}"
    return line


def _injection_line(found: Result) -> str:
    rows = rows_of(found, 0).items()
    ratios = {
        name.rpartition(", ")[0]: row["times plain"]
        for name, row in rows
        if row["times plain"] is not None
    }
    fused = float(np.median([value for name, value in ratios.items() if name != TORCH]))
    hooks = told(ratios[TORCH])
    return f"residuals cost a prefill {told(fused)} times plain, hooks in PyTorch {hooks}"


def _knee_line(found: Result) -> str:
    return f"{found.conditions.bundle}: {found.sheets[0].title}"


def _memory_line(found: Result) -> str:
    resident = [row[-1] for row in found.sheets[0].rows if isinstance(row[-1], int | float)]
    return f"{found.conditions.bundle}: {told(max(resident))} MiB resident at most"


def rewritten(page: str, lines: Sequence[str], picture: str | None) -> str:
    """A page with the lines and the picture between its marks. Raises ValueError without marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"it has no place for them: {BEGIN} and {END}")
    shown = [f"![Tokens per second of every decoder]({picture})"] if picture else []
    content = "\n".join([*(lines or [NOTHING]), *shown])
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"
