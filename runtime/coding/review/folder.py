"""The codings in a folder, opened to be corrected, and written again."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from devices.printable import printable
from devices.recording.video import FrameReader
from runtime.coding.ledger import CODING, CodingError
from runtime.coding.outputs.writing import write_recording, write_together
from runtime.coding.question import LONGEST_NAME
from runtime.coding.recipe import Recipe
from runtime.coding.results import CodedFixation, Coding, corrected
from runtime.coding.review.corrections import CORRECTIONS_FILE, CorrectionsFile
from runtime.remote.copies import LocalCopies
from runtime.server.sight import jpeg


@dataclass(frozen=True, slots=True)
class Item:
    """A fixation to be checked. `recording`: which of the folder's, from 0; `fixation`: as it
    stands, with what was said of it last."""

    recording: int
    fixation: CodedFixation


class ReviewFolder:
    """All that is checked. Its functions may be called from any thread, one at a time.

    `items`: every fixation, those of one recording after those of another, in order of time.
    """

    def __init__(self, folder: Path, copies: LocalCopies, corrections: Path | None = None) -> None:
        """`copies`: of recordings elsewhere, all of which stay as long as they are looked at.
        `corrections`: another file than those beside the codes, for a folder of one recording.

        Raises CodingError, DeviceError, BundleError, RemoteError.
        """
        self._folder = folder
        folders = _folders_of(folder)
        if corrections is not None and len(folders) > 1:
            raise CodingError(f"--corrections belongs to one recording: {folder} holds more")
        self._recipes = [Recipe.read(each).corrected_in(corrections) for each in folders]
        self._files: list[CorrectionsFile] = []
        try:
            for each, recipe in zip(folders, self._recipes, strict=True):
                own = recipe.corrections
                self._files.append(CorrectionsFile(Path(own) if own else each / CORRECTIONS_FILE))
            opened = zip(folders, self._recipes, strict=True)
            self.codings: Sequence[Coding] = [recipe.open(each, copies) for each, recipe in opened]
        except BaseException:
            self.close()
            raise
        self.items = [
            Item(number, fixation)
            for number, coding in enumerate(self.codings)
            for fixation in coding.fixations
        ]
        self._is_stale = False
        self._lock = threading.Lock()

    def correct(self, number: int, thing: str) -> Item:
        """Write what a person says of an item; empty for unsure. Raises CodingError."""
        with self._lock:
            item = self.items[number]
            row = item.fixation.row
            self._files[item.recording].add(
                {
                    "row": str(row.number),
                    "fixation id": printable(row.name, LONGEST_NAME),
                    "thing": thing,
                    "proposal": item.fixation.proposal,
                }
            )
            self.items[number] = replace(item, fixation=corrected(item.fixation, thing))
            self._is_stale = True
            return self.items[number]

    def checked(self) -> tuple[dict[int, str], dict[int, str]]:
        """What was said, and what was proposed, of those items of which something was said."""
        said = {n: i.fixation for n, i in enumerate(self.items) if i.fixation.is_corrected}
        return (
            {number: each.thing for number, each in said.items()},
            {number: each.proposal for number, each in said.items()},
        )

    def picture(self, number: int) -> bytes | None:
        """What lies around gaze, JPEG; None where the fixation could not be looked at."""
        item = self.items[number]
        crop = item.fixation.code.crop
        path = None if crop is None else self.codings[item.recording].folder / crop
        return path.read_bytes() if path is not None and path.is_file() else None

    def frame(self, number: int) -> bytes | None:
        """The whole frame that it was decided on, JPEG. Raises DeviceError."""
        item = self.items[number]
        at = item.fixation.code.frame_at
        if at is None:
            return None
        read = self.codings[item.recording].source.read
        index = int(np.searchsorted(read.frame_times, at, side="right")) - 1
        return jpeg(FrameReader(read.video).frames([index])[0])

    def write(self) -> bool:
        """Write all tables anew, if anything has changed; whether it had.

        Raises CodingError or OSError, after which they still are to be written.
        """
        with self._lock:
            if not self._is_stale:
                return False
            self._is_stale = False
            items = list(self.items)
        try:
            self._write(items)
        except (CodingError, OSError):
            self._is_stale = True
            raise
        return True

    def _write(self, items: Sequence[Item]) -> None:
        own: list[list[CodedFixation]] = [[] for _ in self.codings]
        for item in items:
            own[item.recording].append(item.fixation)
        codings = [
            replace(coding, fixations=tuple(fixations))
            for coding, fixations in zip(self.codings, own, strict=True)
        ]
        for coding, recipe in zip(codings, self._recipes, strict=True):
            write_recording(coding)
            recipe.write(coding.folder)
        write_together(codings, self._folder, any(recipe.bids for recipe in self._recipes))

    def close(self) -> None:
        """Close the files of corrections."""
        for file in self._files:
            file.close()


def _folders_of(folder: Path) -> list[Path]:
    """The codings in a folder, in the order of their names."""
    if (folder / CODING.conditions_file).is_file():
        raise CodingError(
            f"{folder} is the coding of one recording: give the folder of all, {folder.parent}"
        )
    found = sorted(path.parent for path in folder.glob(f"*/{CODING.conditions_file}"))
    if not found:
        raise CodingError(f"{folder}: no coding lies there: give what was --out")
    return found
