"""A run on other places than this process: what a worker does, and where its results go."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console

from benchmarks.streamgaze import command
from benchmarks.streamgaze.asking.engines import load_models
from benchmarks.streamgaze.asking.evaluation import evaluate
from benchmarks.streamgaze.asking.results import RUNS, Conditions, Result, Run, read_run
from benchmarks.streamgaze.asking.units import done_in, of_videos, units_of
from benchmarks.streamgaze.data.dataset import DataSetError, TaskFile
from benchmarks.streamgaze.data.questions import Problem
from benchmarks.streamgaze.merging import merge
from benchmarks.streamgaze.reporting.summary import summary_lines
from runtime.bundle.opening import Bundle
from runtime.cluster.arrays import ShardedJob, run_on_slurm
from runtime.cluster.command_line import resolved
from runtime.cluster.spread import spread_on_ray
from runtime.cluster.units import ClusterError, Opener, Parcel, Unit
from runtime.ledger import Ledger

OPENER = "benchmarks.streamgaze.spreading:open_work"
LOST = "its unit could not be done"
MILLISECONDS = 1000.0


@dataclass(frozen=True, slots=True)
class Identity:
    """What a worker says of itself. `version`: of this project, where it stands."""

    version: str
    conditions: Conditions


def run(arguments: Sequence[str], console: Console) -> int:
    """The command line of a run, wherever it is done; returns the exit status."""
    options = command.run_parser().parse_args(arguments)
    if options.check or options.on == "local":
        return command.run(arguments, console)
    command.check_options(options)
    spread = run_on_ray if options.on == "ray" else run_in_array
    for line in summary_lines(spread(options, arguments, console)):
        console.print(line)
    return 0


def run_on_ray(options: argparse.Namespace, arguments: Sequence[str], console: Console) -> Run:
    """Ask what is not answered yet, with workers on Ray."""
    files, _ = command.open_data(options)
    digest = Bundle.open(options.bundle).manifest.digest
    store = RunStore(options, files, digest)
    try:
        units = units_of(files, store.done)
        threads = ("--threads", str(options.threads or options.cores or 1))
        opener = Opener(OPENER, (str(Path.cwd()), *arguments, *threads))
        spread_on_ray(options, opener, units, store, "questions", console)
        return store.run()
    finally:
        store.close()


def run_in_array(options: argparse.Namespace, arguments: Sequence[str], console: Console) -> Run:
    """Ask what is not answered yet, in an array of shards, whose results are merged."""
    run_on_slurm(options, arguments, JOB)
    return read_run(options.out)


def is_begun(folder: Path) -> bool:
    """Whether there is a run in a folder."""
    return (folder / RUNS.conditions_file).is_file()


JOB = ShardedJob("benchmarks.streamgaze", is_begun, merge)


class RunWork:
    """What a worker holds: the models, and the data set by its videos."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._heard: Callable[[], None] = lambda: None
        self._files, self._library = command.open_data(options, heard=lambda: self._heard())
        self._models = load_models(options)
        self._way = command.way_of(options)
        held = Identity(
            version("gazeqwen-edge"), command.conditions_of(options, self._models, self._files)
        )
        self.conditions = msgspec.json.encode(held)

    def do(self, key: str, heard: Callable[[], None]) -> Parcel:
        """All questions of a video."""
        began = time.perf_counter()
        self._heard = heard  # also while a video is being copied
        files = of_videos(self._files, frozenset([key]))
        stages: Counter[str] = Counter()
        lines = []
        for result in evaluate(self._models, self._library, files, self._way):
            heard()
            stages.update({n: spent / MILLISECONDS for n, spent in result.stages_ms.items()})
            lines.append(msgspec.json.encode(result) + b"\n")
        return Parcel(key, b"".join(lines), time.perf_counter() - began, dict(stages))


def open_work(arguments: Sequence[str]) -> RunWork:
    """As a worker opens it. `arguments`: the folder that paths are taken from, then a run's."""
    folder, *given = arguments
    return RunWork(resolved(command.run_parser().parse_args(given), Path(folder)))


class RunStore:
    """The results of a run, written by one process as units come in."""

    def __init__(self, options: argparse.Namespace, files: Sequence[TaskFile], digest: str) -> None:
        """`digest`: of the bundle that is to be asked."""
        self._out, self._digest = options.out, digest
        self._questions = {question.key: question for file in files for question in file.questions}
        self._ledger: Ledger[Conditions, Result] | None = None
        self._held: Conditions | None = None
        own = done_in([self._out]) if is_begun(self._out) else frozenset()
        self.done = own | done_in(options.after)

    def accept(self, conditions: bytes) -> None:
        """Raises ClusterError for another version, another bundle, other data, another engine."""
        identity = msgspec.json.decode(conditions, type=Identity)
        if identity.version != (own := version("gazeqwen-edge")):
            raise ClusterError(f"it has version {identity.version}, not {own}")
        theirs = identity.conditions
        if theirs.bundle_digest != self._digest:
            raise ClusterError(
                f"it has another bundle ({theirs.bundle_digest[:12]}, not {self._digest[:12]}): "
                "copy the bundle there, or give --hand-over"
            )
        if self._ledger is None:
            try:
                self._ledger = Ledger(RUNS, self._out, theirs)
            except DataSetError as error:
                raise ClusterError(str(error)) from error
            self._held = theirs
        elif theirs != self._held:
            raise ClusterError("its data set, its engine or its rules are other ones")

    def write(self, parcel: Parcel) -> None:
        """Keep what of it is not there yet."""
        results = RUNS.decoded(self._out / parcel.key, parcel.lines)
        self._append([result for result in results if result.key not in self.done])

    def skip(self, unit: Unit, cause: str) -> None:
        """Each of its questions is skipped, with the cause."""
        problem = Problem(LOST, cause)
        own = (each for each in self._questions.values() if each.key.video == unit.key)
        self._append([Result.unasked(each, problem) for each in own if each.key not in self.done])

    def _append(self, results: list[Result]) -> None:
        assert self._ledger is not None, "a worker was accepted before it gave anything"
        self._ledger.append(results)
        self.done |= {result.key for result in results}

    def run(self) -> Run:
        """The whole run."""
        return Run(self._out, RUNS.read_conditions(self._out), tuple(RUNS.read(self._out)))

    def close(self) -> None:
        """Let others go on with the run."""
        if self._ledger is not None:
            self._ledger.close()
