"""The tables of all recordings of a command, each coded before where it is not yet."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from devices.printable import printable
from runtime.bundle.opening import Bundle
from runtime.coding.coding import RecordingCoder
from runtime.coding.ledger import CODING
from runtime.coding.outputs.drawn import draw_coding
from runtime.coding.outputs.report import warnings
from runtime.coding.outputs.writing import write_recording, write_together
from runtime.coding.question import NONE_LISTED
from runtime.coding.recipe import Recipe
from runtime.coding.results import Coding, read_coding
from runtime.coding.source import CodingSource, located_source
from runtime.remote.copies import LocalCopies
from runtime.remote.urls import Location
from runtime.terminal import SafeConsole

LONGEST = 1000  # characters of a line


def write_all(
    options: argparse.Namespace,
    found: dict[str, Location],
    bundle: Bundle,
    console: SafeConsole,
    coder: RecordingCoder | None = None,
) -> None:
    """Write the tables of recordings; `coder` codes each before, without one all are coded."""
    copies = LocalCopies.of(options)
    codings = []
    for name, place in found.items():
        source = located_source(place, copies, bundle.manifest.settings, options)
        for line in source.read.notices:
            console.print(printable(line, LONGEST))
        if coder is not None:
            _code(coder, source, options.out / name, console)
        Recipe.of(options, place).write(options.out / name)
        codings.append(_written(options, source, options.out / name, console))
    write_together(codings, options.out, options.bids)
    if options.rerun is not None and codings:  # a shard may be empty
        draw_coding(codings[0], options.rerun)
    copies.let_go()
    console.print(printable(f"written to {options.out}", LONGEST))


def _code(coder: RecordingCoder, source: CodingSource, folder: Path, console: SafeConsole) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
    with progress:
        task = progress.add_task("fixations", total=len(source.rows))
        coder.code(source, folder, lambda count: progress.advance(task, count))


def _written(
    options: argparse.Namespace, source: CodingSource, folder: Path, console: SafeConsole
) -> Coding:
    conditions = CODING.read_conditions(folder)
    coding = read_coding(folder, source, conditions, options.unsure_below, options.corrections)
    write_recording(coding)
    for line in (summary(coding), *warnings(coding)):
        console.print(printable(line, LONGEST))
    return coding


def summary(coding: Coding) -> str:
    """What came of a recording, in one line."""
    fixations = coding.fixations
    if not fixations:
        return f"{coding.source.name}: no fixation in it: there is nothing to code"
    unseen = sum(each.code.trouble is not None for each in fixations)
    unsure = sum(each.is_unsure for each in fixations) - unseen
    none = sum(each.thing == NONE_LISTED for each in fixations)
    aside = f" ({none} on {NONE_LISTED})" if none else ""
    return (
        f"{coding.source.name}: {len(fixations)} fixations ({coding.source.origin}): "
        f"{len(fixations) - unsure - unseen} coded{aside}, {unsure} unsure, {unseen} not to be seen"
    )
