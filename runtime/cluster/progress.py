"""How a spread job gets on: a display, a log with a line per unit, a summary by worker."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from devices.printable import printable
from runtime.cluster.dispatch import Happened

LOG_FILE = "units.jsonl"
LONGEST = 1000  # characters of a line


@dataclass(frozen=True, slots=True)
class LogLine:
    """What happened to a unit. `at`: seconds since the job began."""

    at: float
    what: str
    worker: str
    unit: str
    seconds: float
    stages: dict[str, float]
    cause: str


@dataclass(slots=True)
class WorkerTimes:
    """Seconds of one worker: at work, and of these by stage; its units and results."""

    seconds: float = 0.0
    units: int = 0
    stages: Counter[str] = field(default_factory=Counter)


class SpreadProgress:
    """Hears what happens, and shows, logs and sums it up."""

    def __init__(
        self,
        console: Console,
        folder: Path,
        units: int,
        noun: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`noun`: of the results, "questions"."""
        self._console, self._clock, self._noun = console, clock, noun
        self._began = clock()
        self._results = 0
        self._times: defaultdict[str, WorkerTimes] = defaultdict(WorkerTimes)
        folder.mkdir(parents=True, exist_ok=True)
        self._log = (folder / LOG_FILE).open("ab")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(
            *columns,
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}"),
            console=console,
            transient=True,
        )
        self._all = self._progress.add_task("units", total=units, said="")
        self._lines: dict[str, int] = {}

    def __enter__(self) -> SpreadProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
        self._log.close()

    def heard(self, happened: Happened) -> None:
        """Something happened."""
        parcel, unit = happened.parcel, happened.unit
        at = self._clock() - self._began
        key = "" if unit is None else unit.key
        seconds, stages = (0.0, {}) if parcel is None else (parcel.seconds, parcel.stages)
        line = LogLine(at, happened.what, happened.worker, key, seconds, stages, happened.cause)
        self._log.write(msgspec.json.encode(line) + b"\n")
        self._log.flush()
        if happened.what in ("written", "skipped"):
            self._count(happened, at)
        if happened.what != "written":
            about = f"{key}, " if key else ""
            said = f"{happened.what}: {about}{happened.worker}: {happened.cause}"
            self._console.print(printable(said, LONGEST))

    def _count(self, happened: Happened, at: float) -> None:
        assert happened.unit is not None
        self._results += happened.unit.size
        rate = self._results / max(at, 1e-9)
        self._progress.update(self._all, advance=1, said=f"{rate:.1f} {self._noun}/s")
        if happened.parcel is None:
            return
        times = self._times[happened.worker]
        times.seconds += happened.parcel.seconds
        times.units += 1
        times.stages.update(happened.parcel.stages)
        if happened.worker not in self._lines:
            self._lines[happened.worker] = self._progress.add_task(
                happened.worker, total=None, said=""
            )
        said = f"last: {printable(happened.unit.key, 60)}"
        self._progress.update(self._lines[happened.worker], completed=times.units, said=said)

    def summary(self) -> list[str]:
        """Time by worker and stage, so that idle ones are seen."""
        whole = self._clock() - self._began
        lines = []
        for worker, times in sorted(self._times.items()):
            stages = ", ".join(f"{name} {spent:.1f} s" for name, spent in times.stages.items())
            idle = max(0.0, whole - times.seconds)
            lines.append(
                f"{worker}: {times.units} units, {times.seconds:.1f} s at work"
                f"{f' ({stages})' if stages else ''}, {idle:.1f} s not"
            )
        return lines
