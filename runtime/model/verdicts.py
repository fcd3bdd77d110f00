"""What was found when a bundle was proven on a device, kept so that it is asked once.

A verdict holds for everything that decides what is computed: machine, engine, device, driver,
versions and bundle. It lies in the user's cache and never in the bundle.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import platformdirs

from runtime.bundle.vectors import ASKED
from runtime.bundle.verification import APPLICATION, machine_name
from runtime.engines.choice import EngineChoice

LARGEST = 1 << 16  # bytes of one verdict


@dataclass(frozen=True, slots=True)
class Subject:
    """`device`: what computes, its driver and the versions of its software. `bundle`: its digest,
    which holds the hashes of all its files. `asked`: what is compared."""

    machine: str
    engine: str
    device: tuple[str, ...]
    bundle: str
    asked: tuple[str, ...] = ASKED

    @classmethod
    def of(cls, choice: EngineChoice) -> Subject:
        """What is proven when the bundle of `choice` is."""
        return cls(machine_name(), choice.kind, choice.device, choice.bundle.manifest.digest)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fault`: the graph that was wrong and its figure; None where all was right.

    `rows`: all is right as long as no more tokens are prefilled at once; None: it is not.
    """

    subject: Subject
    fault: str | None
    rows: int | None = None


class Verdicts:
    """Those of one user; in `folder`, None for nowhere."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    def of_user(cls) -> Verdicts:
        """In the user's cache (XDG on Linux), where there is one."""
        folder = platformdirs.user_cache_path(APPLICATION, appauthor=False) / "proven"
        return cls(folder if folder.is_absolute() else None)

    def find(self, subject: Subject) -> Verdict | None:
        """What was found of exactly this before; None where it was never asked."""
        path = self._path(subject)
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                verdict = msgspec.json.decode(file.read(LARGEST), type=Verdict)
        except (OSError, msgspec.MsgspecError, RecursionError, UnicodeError):
            return None
        return verdict if verdict.subject == subject else None

    def keep(self, verdict: Verdict) -> None:
        """Remember it; where that can't be, it is asked again."""
        path = self._path(verdict.subject)
        if path is None:
            return
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(msgspec.json.encode(verdict))
            partial.replace(path)

    def _path(self, subject: Subject) -> Path | None:
        if self._folder is None:
            return None
        digest = hashlib.sha256(msgspec.json.encode(subject)).hexdigest()
        return self._folder / f"{digest[:32]}.json"
