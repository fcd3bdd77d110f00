"""Tables: the maker's with our columns, areas of interest as Pupil Cloud writes them, and ours."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from runtime.coding.question import NONE_LISTED
from runtime.coding.results import CodedFixation, Coding
from runtime.coding.visits import metrics_of, transitions_of, visits_of

OURS = (
    *("thing", "confidence", "unsure", "corrected", "also", "thing without gaze"),
    *("decided by gaze", "said", "crop", "frame timestamp [ns]", "coding note"),
)
AOI_FIXATIONS = (
    *("label id", "aoi label", "section id", "recording id", "fixation id"),
    "fixation duration [ms]",
)
AOI_METRICS = (
    *("label id", "recording id", "recording name", "aoi label"),
    *("average fixation duration [ms]", "total fixations", "time to first fixation [ms]"),
    "total fixation duration [ms]",
)
AOI_VISITS = (
    *("label id", "recording id", "recording name", "aoi label", "visits", "revisits"),
    *("average visit duration [ms]", "share of fixation time"),
)
EVENTS = ("recording id", "timestamp [ns]", "name", "type")
DECIMALS = 3


def label_id(thing: str) -> str:
    """The same for the same name, in every recording and every run."""
    return str(uuid5(NAMESPACE_URL, f"gazeqwen-edge/thing/{thing}"))


def fixations_coded(coding: Coding) -> bytes:
    """The maker's table of fixations, his bytes as they are, and our columns."""
    ours = {each.row.number: _our_cells(each) for each in coding.fixations}
    return coding.source.table.extended(OURS, ours)


def _our_cells(each: CodedFixation) -> list[str]:
    code = each.code
    by_gaze = "" if code.without is None else _truth(code.without != code.thing)
    return [
        each.thing,
        "" if code.confidence is None else f"{code.confidence:.4f}",
        _truth(each.is_unsure),
        _truth(each.is_corrected),
        "; ".join(each.things[1:]),
        code.without or "",
        by_gaze,
        code.said or "",
        code.crop or "",
        "" if code.frame_at is None else str(code.frame_at),
        code.trouble or "",
    ]


def aoi_fixations(codings: Sequence[Coding]) -> str:
    """One row for each fixation on each thing."""
    return table(
        AOI_FIXATIONS,
        (
            (
                *(label_id(thing), thing, each.row.section),
                each.row.recording or coding.source.recording_id,
                *(each.row.name, number(each.milliseconds)),
            )
            for coding in codings
            for each in coding.fixations
            for thing in each.things
        ),
    )


def aoi_metrics(codings: Sequence[Coding]) -> str:
    """One row for each thing that was looked at, of each recording."""
    return table(
        AOI_METRICS,
        (
            (
                *(label_id(each.thing), coding.source.recording_id, coding.source.name),
                *(each.thing, number(each.average), each.fixations),
                *(number(each.first), number(each.total)),
            )
            for coding in codings
            for each in metrics_of(coding)
            if each.fixations
        ),
    )


def aoi_visits(codings: Sequence[Coding]) -> str:
    """Visits, revisits, share of time: of every thing, looked at or not."""
    return table(
        AOI_VISITS,
        (
            (
                *(label_id(each.thing), coding.source.recording_id, coding.source.name),
                *(each.thing, each.visits, each.revisits),
                *(number(each.visit_average), f"{each.share:.6f}"),
            )
            for coding in codings
            for each in metrics_of(coding)
        ),
    )


def events(coding: Coding) -> str:
    """Where each visit begins and ends, as the Events plugin of Neon Player imports it."""
    identity = coding.source.recording_id
    rows: list[tuple[object, ...]] = []
    for visit in visits_of(coding.fixations):
        if visit.thing and visit.thing != NONE_LISTED:
            rows.append((identity, visit.started_at, visit.thing, "recording"))
            rows.append((identity, visit.ended_at, f"{visit.thing} end", "recording"))
    return table(EVENTS, rows)


def transitions(coding: Coding) -> str:
    """From which thing to which, how often, and as a share of all that leave the first."""
    counted = transitions_of(coding)
    leaving = {one: 0 for one, _ in counted}
    for (one, _), count in counted.items():
        leaving[one] += count
    return table(
        ("from", "to", "count", "share of those leaving"),
        (
            (one, other, count, f"{count / leaving[one]:.6f}")
            for (one, other), count in sorted(counted.items())
        ),
    )


def scarf(coding: Coding) -> str:
    """The visits in order: milliseconds from the first frame."""
    start = coding.source.read.start
    return table(
        ("start [ms]", "end [ms]", "duration [ms]", "aoi label", "fixations"),
        (
            (
                number((visit.started_at - start) / 1e6),
                number((visit.ended_at - start) / 1e6),
                *(number(visit.milliseconds), visit.thing, len(visit.fixations)),
            )
            for visit in visits_of(coding.fixations)
        ),
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def write(path: Path, content: str | bytes) -> None:
    """Write a file as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    partial.replace(path)


def number(value: float | None) -> str:
    """With as many decimals as are needed, at most DECIMALS; empty for what is not known."""
    if value is None:
        return ""
    return f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")


def _truth(value: bool) -> str:
    return "True" if value else "False"
