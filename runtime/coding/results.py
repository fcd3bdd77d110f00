"""A coding as it is read: each fixation with what it is on, corrections of a person included."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.coding.ledger import CODING, Code, CodingConditions
from runtime.coding.question import NONE_LISTED
from runtime.coding.review.corrections import CORRECTION_COLUMNS, CORRECTIONS_FILE, read_corrections
from runtime.coding.source import CodingSource
from runtime.coding.work import FixationRow

MILLISECOND = 1e6


@dataclass(frozen=True, slots=True)
class CodedFixation:
    """A fixation and the things it is on. `things`: the first one first; empty where it is unsure,
    on none of those listed, or could not be looked at. `is_corrected`: a person decided;
    `proposal`: what she was proposed, empty for unsure.
    """

    row: FixationRow
    code: Code
    things: tuple[str, ...]
    is_unsure: bool
    is_corrected: bool = False
    proposal: str = ""

    @property
    def thing(self) -> str:
        """The first of its things, "none of these", or empty."""
        if self.things:
            return self.things[0]
        is_none = not self.is_unsure and self.code.thing == NONE_LISTED
        return NONE_LISTED if is_none else ""

    @property
    def milliseconds(self) -> float:
        """How long it lasted."""
        return (self.row.ended_at - self.row.started_at) / MILLISECOND


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """The coding of one recording; `fixations` in order of time, `folder` where it lies."""

    folder: Path
    source: CodingSource
    conditions: CodingConditions
    fixations: tuple[CodedFixation, ...]
    threshold: float

    @property
    def things(self) -> tuple[str, ...]:
        """All that are listed; of free text, and of corrections, all that occur, by name."""
        found = {thing for each in self.fixations for thing in each.things}
        listed = self.conditions.things
        return (*listed, *sorted(found - set(listed)))


def read_coding(
    folder: Path,
    source: CodingSource,
    conditions: CodingConditions,
    threshold: float,
    corrections: Path | None = None,
) -> Coding:
    """What was coded so far, with the corrections that lie beside it. Raises CodingError."""
    codes = {code.number: code for code in CODING.read(folder)}
    file = corrections or folder / CORRECTIONS_FILE
    said = read_corrections(file) if file.is_file() else {}
    fixations = []
    for row in sorted(source.rows, key=lambda each: (each.started_at, each.number)):
        if (code := codes.get(row.number)) is not None:
            coded = _coded(row, code, threshold)
            if row.number in said:
                coded = corrected(coded, said[row.number])
            fixations.append(coded)
    return Coding(folder, source, conditions, tuple(fixations), threshold)


def _coded(row: FixationRow, code: Code, threshold: float) -> CodedFixation:
    is_unsure = code.thing is None or (code.confidence or 0.0) < threshold
    is_none = code.thing == NONE_LISTED
    things = () if is_unsure or is_none or code.thing is None else (code.thing, *code.also)
    proposal = "" if is_unsure else code.thing or ""
    return CodedFixation(row, code, things, is_unsure, proposal=proposal)


def corrected(coded: CodedFixation, thing: str) -> CodedFixation:
    """What a person said: a thing, "none of these", or nothing where she is unsure, too."""
    is_none = thing == NONE_LISTED
    code = replace(coded.code, thing=NONE_LISTED) if is_none else coded.code
    things = (thing,) if thing and not is_none else ()
    return CodedFixation(coded.row, code, things, not thing, True, coded.proposal)


def to_be_corrected(coding: Coding) -> str:
    """A table to correct by hand: every fixation with its proposal, each accepted so far."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CORRECTION_COLUMNS)
    for each in coding.fixations:
        writer.writerow([each.row.number, each.row.name, each.thing, each.proposal])
    return text.getvalue()
