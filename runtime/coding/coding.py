"""Every fixation of a recording, coded in one pass through its video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from devices.device import DeviceError
from devices.recording.video import VideoCursor
from runtime.answers.session import live_size
from runtime.bundle.manifest import Manifest
from runtime.coding.coder import Coder, Decision
from runtime.coding.ledger import CODING, Code, CodingConditions
from runtime.coding.pictures import crop, save
from runtime.coding.question import CodingQuestion
from runtime.coding.source import CodingSource
from runtime.coding.work import FixationRow, Glance, glances, trouble_of
from runtime.errors import NotFiniteError
from runtime.ledger import Ledger
from runtime.model.encoder import Encoder
from runtime.model.models import Models
from runtime.stopwatch import Stopwatch
from runtime.stream.frame_timeline import FramePair, resized
from runtime.stream.gaze_timeline import GazeView
from runtime.stream.steps import Step, StepPlan

CROPS = "crops"
KEPT_CHANCES = 8  # of the most probable things, in a code
UNDECODABLE = "its frame can't be decoded"


@dataclass(frozen=True, slots=True)
class CodingWay:
    """How fixations are coded. `gaze`: "yes", "none", or "both", to see whether gaze decided.

    `share`: seconds within which fixations share a pair of frames; `rate`: frames per second.
    """

    question: CodingQuestion
    gaze: str = "yes"
    share: float = 0.1
    rate: float = 1.0


def conditions_of(
    manifest: Manifest, engine: str, source: CodingSource, way: CodingWay
) -> CodingConditions:
    """What the codes of a recording depend on."""
    return CodingConditions(
        recording=source.read.name,
        fixations=source.origin,
        bundle=manifest.name,
        bundle_digest=manifest.digest,
        weights=manifest.provenance.weights,
        engine=engine,
        gaze=way.gaze,
        question=way.question.text,
        things=way.question.things,
        checks=way.question.checks,
        share=way.share,
        rate=way.rate,
        start=source.read.start,
        video=source.read.video.files[0].path.name,
        recording_id=source.recording_id,
    )


class RecordingCoder:
    """Codes recordings one after the other; the model's memory is used again."""

    def __init__(self, models: Models, way: CodingWay) -> None:
        """Raises QuestionError for a question that can't be asked."""
        settings = models.bundle.manifest.settings
        self._models = models
        self._way = way
        self._grid = settings.live_height, settings.live_width
        self._size = live_size(models.bundle.manifest)
        self._coder = Coder(models, self._grid, way.question)

    def code(
        self, source: CodingSource, folder: Path, heard: Callable[[int], None] = lambda count: None
    ) -> None:
        """Code what is not coded yet, into `folder`; `heard` hears how many are done.

        Raises CodingError.
        """
        models = self._models
        manifest = models.bundle.manifest
        conditions = conditions_of(manifest, models.engine_name, source, self._way)
        ledger = Ledger(CODING, folder, conditions)
        done = frozenset(code.number for code in ledger.before)
        try:
            heard(len(done))
            for codes in self._codes(source, folder, done):
                ledger.append(codes)
                heard(len(codes))
        finally:
            ledger.close()

    def _codes(
        self, source: CodingSource, folder: Path, done: frozenset[int]
    ) -> Iterator[list[Code]]:
        times = source.read.frame_times
        unseen = [
            Code(row.number, trouble=trouble)
            for row in source.rows
            if row.number not in done and (trouble := trouble_of(row, times))
        ]
        if unseen:
            yield unseen
        share, interval = (
            round(seconds * NANOSECONDS) for seconds in (self._way.share, 1 / self._way.rate)
        )
        pending = []
        for glance in glances(source.rows, times, interval, share):
            rows = tuple(row for row in glance.rows if row.number not in done)
            if rows:
                pending.append(replace(glance, rows=rows))
        encoder = Encoder(self._models, self._grid, use_gaze=self._way.gaze != "none", kept=1)
        for glance, pair, whole in _pairs(source, pending, self._size):
            if pair is None or whole is None:
                yield [Code(row.number, trouble=UNDECODABLE) for row in glance.rows]
                continue
            yield [self._code(row, pair, whole, encoder, folder) for row in glance.rows]

    def _code(
        self,
        row: FixationRow,
        pair: FramePair,
        whole: NDArray[np.uint8],
        encoder: Encoder,
        folder: Path,
    ) -> Code:
        view = GazeView((row.fixation(),), row.middle, True)
        name = f"{CROPS}/{row.number:06d}.jpg"
        save(crop(whole, row.x, row.y), folder / name)
        try:
            step = encoder.encode(StepPlan(None, row.middle, pair, view), Stopwatch())
            decided = self._coder.code(step)
            without = None
            if self._way.gaze == "both":
                without = self._coder.code(Step(step.plan, step.visual, None)).thing
        except NotFiniteError as error:
            return Code(row.number, frame_at=pair.newer_at, crop=name, trouble=str(error))
        return _code_of(row, decided, pair.newer_at, name, without)


def _code_of(
    row: FixationRow, decided: Decision, frame_at: int, picture: str, without: str | None
) -> Code:
    likely = sorted(decided.chances.items(), key=lambda chance: -chance[1])[:KEPT_CHANCES]
    return Code(
        row.number,
        decided.thing,
        decided.confidence,
        dict(likely),
        decided.also,
        decided.said,
        frame_at,
        picture,
        without,
    )


def _pairs(
    source: CodingSource, pending: Sequence[Glance], size: tuple[int, int]
) -> Iterator[tuple[Glance, FramePair | None, NDArray[np.uint8] | None]]:
    """Each glance with its pair of frames at the model's size and the newer one as recorded.

    None for those that can't be decoded. In memory are the frames between two glances.
    """
    times, cursor = source.read.frame_times, VideoCursor(source.read.video)
    wanted = sorted({index for glance in pending for index in (glance.older, glance.newer)})
    small: dict[int, NDArray[np.uint8]] = {}
    whole: NDArray[np.uint8] | None = None  # the newest that was read
    place = 0
    try:
        for glance, oldest in zip(pending, _still_needed(pending), strict=True):
            while place < len(wanted) and wanted[place] <= glance.newer:
                whole = _read(cursor, wanted[place])
                if whole is not None:
                    small[wanted[place]] = resized(whole, *size)
                place += 1
            small = {index: kept for index, kept in small.items() if index >= oldest}
            if glance.older not in small or glance.newer not in small or whole is None:
                yield glance, None, None
                continue
            ends = int(times[glance.older]), int(times[glance.newer])
            yield glance, FramePair(small[glance.older], small[glance.newer], *ends), whole
    finally:
        cursor.close()


def _still_needed(pending: Sequence[Glance]) -> list[int]:
    """The oldest frame that each glance or a later one needs: at the start of a video, where there
    is none so old, a glance has its newer frame twice."""
    oldest = [glance.older for glance in pending]
    for place in range(len(oldest) - 2, -1, -1):
        oldest[place] = min(oldest[place], oldest[place + 1])
    return oldest


def _read(cursor: VideoCursor, index: int) -> NDArray[np.uint8] | None:
    try:
        return cursor.read(index)
    except (DeviceError, ValueError):
        return None
