"""A coding on disk: what it is made with, and one line per fixation."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.errors import RuntimeFault
from runtime.ledger import Job


class CodingError(RuntimeFault):
    """A coding can't be made, gone on with or read, in one line."""


@dataclass(frozen=True, slots=True)
class CodingConditions:
    """Everything that a code depends on. `share` in seconds; `rate` in frames per second."""

    recording: str
    fixations: str
    bundle: str
    bundle_digest: str
    weights: str
    engine: str
    gaze: str
    question: str
    things: tuple[str, ...]
    checks: bool
    share: float
    rate: float
    start: int
    video: str
    recording_id: str = ""
    rules: int = 1


@dataclass(frozen=True, slots=True)
class Code:
    """What a fixation was on, as it was decided; see `Decision`. `number`: of its row.

    `trouble`: why it could not be looked at. `frame_at`: capture time (Unix ns) of the frame.
    `crop`: its picture, beside this file. `without`: the thing that is named without gaze, where
    that was asked.
    """

    number: int
    thing: str | None = None
    confidence: float | None = None
    chances: dict[str, float] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    said: str | None = None
    frame_at: int | None = None
    crop: str | None = None
    without: str | None = None
    trouble: str | None = None


CODING = Job("coding", "coding.json", "codes.jsonl", CodingConditions, Code, CodingError)
