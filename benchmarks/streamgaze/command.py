"""`python -m benchmarks.streamgaze`: the command line of a run and of `--check`."""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.streamgaze.asking.engines import ENGINES, load_models
from benchmarks.streamgaze.asking.evaluation import Way, evaluate, problems
from benchmarks.streamgaze.asking.protocols import NOT_REPRODUCED, RULES
from benchmarks.streamgaze.asking.results import RUNS, Conditions, Result, Run
from benchmarks.streamgaze.asking.units import done_in, in_shard
from benchmarks.streamgaze.data.dataset import (
    DataSetError,
    Selection,
    TaskFile,
    VideoIndex,
    read_tasks,
    split_videos,
    tasks_named,
    video_folders,
)
from benchmarks.streamgaze.data.media import Library
from benchmarks.streamgaze.data.questions import QuestionKey
from benchmarks.streamgaze.reporting.summary import summary_lines
from devices import numbers
from devices.parser import Parser
from devices.printable import printable
from runtime.cluster.command_line import add_place_options, check_place_options
from runtime.ledger import Ledger
from runtime.model.models import Models
from runtime.remote.copies import LocalCopies, add_cache_options
from runtime.remote.urls import location

TABLES = (".json", ".csv")  # what of a data set elsewhere is copied at once: all but its videos
UNUSABLE_FILE = "unusable task file"
LONGEST_LINE = 2000  # characters about one problem


def run(arguments: Sequence[str], console: Console) -> int:
    """Check a data set, or ask its questions; returns the exit status."""
    options = run_parser().parse_args(arguments)
    if options.check:
        check_options(options)
        unread: list[DataSetError] = []
        files, library = open_data(options, unread.append)
        return check(library, files, unread, console)
    for line in summary_lines(make_run(options, console)):
        console.print(line)
    return 0


def make_run(
    options: argparse.Namespace,
    console: Console,
    heard: Callable[[Result], None] = lambda result: None,
) -> Run:
    """Ask what is not answered yet; `heard` hears of each result. Returns the whole run.

    Raises DataSetError and RuntimeFault.
    """
    check_options(options)
    files, library = open_data(options)
    models = load_models(options)
    conditions = conditions_of(options, models, files)
    own = files if options.shard is None else in_shard(files, options.shard)
    elsewhere = done_in(options.after)
    results = Ledger(RUNS, options.out, conditions)
    done = elsewhere | {result.key for result in results.before}
    console.print(f"{conditions.engine}, protocol {options.protocol}, gaze: {options.gaze}")
    if options.protocol == "released":
        console.print(NOT_REPRODUCED)
    try:
        asked = [question.key for file in own for question in file.questions]
        with _progress(console) as progress:
            task = progress.add_task(
                "questions", total=len(asked), completed=sum(key in done for key in asked)
            )
            for result in evaluate(models, library, own, way_of(options), done):
                results.append([result])
                heard(result)
                progress.advance(task)
                if result.skipped is not None:
                    line = f"skipped, {result.skipped}: {result.key}: {result.reason}"
                    console.print(printable(line, LONGEST_LINE))
        return Run(options.out, conditions, tuple(results.read()))
    finally:
        results.close()


def open_data(
    options: argparse.Namespace,
    on_error: Callable[[DataSetError], None] | None = None,
    heard: Callable[[], None] = lambda: None,
) -> tuple[list[TaskFile], Library]:
    """The questions and videos that the command line names. Raises DataSetError, RemoteError.

    `on_error` hears of task files that can't be read, which then are left out; `heard` is called
    while something that lies elsewhere is copied.
    """
    videos = split_videos(options.split, options.part) if options.split else None
    selection = Selection(tasks_named(options.tasks), videos, options.limit)
    tables = LocalCopies.of(options, heard)  # never let go: they stay as long as this process
    root = tables.path(options.data, TABLES)
    files = read_tasks(root, selection, on_error)
    given = [tables.path(each, TABLES) for each in options.fixation_dir]
    library = Library(
        VideoIndex(video_folders(options.data, options.video_dir)),
        given or [root / "fixations", root],
        options.gaze,
        LocalCopies.of(options, heard),
    )
    return files, library


def way_of(options: argparse.Namespace) -> Way:
    """How the command line wants questions asked."""
    return Way(options.protocol, options.gaze != "none", options.ask_after)


def check(
    library: Library, files: Sequence[TaskFile], unread: Sequence[DataSetError], console: Console
) -> int:
    """Print every problem of a data set; 1 if there are any. `unread`: of its task files."""
    count = sum(len(file.questions) for file in files)
    causes: Counter[str] = Counter()
    unaskable: set[QuestionKey] = set()
    with _progress(console) as progress:
        task = progress.add_task("checking", total=count)
        for found in problems(library, files, lambda done: progress.advance(task, done)):
            causes[found.problem.cause] += 1
            unaskable |= found.questions
            line = f"{found.problem.cause}: {found.about}: {found.problem.reason}"
            console.print(printable(line, LONGEST_LINE))
    for error in unread:
        causes[UNUSABLE_FILE] += 1
        console.print(f"{UNUSABLE_FILE}: {error}")
    if causes:
        listed = ", ".join(f"{number} {cause}" for cause, number in causes.most_common())
        console.print(f"{len(unaskable)} of {count} questions can't be asked; problems: {listed}")
    else:
        console.print(f"{count} questions in {len(files)} task files: no problem found")
    return 1 if causes else 0


def conditions_of(
    options: argparse.Namespace, models: Models, files: Sequence[TaskFile]
) -> Conditions:
    """What the answers of a run depend on; a shard's are those of the whole."""
    manifest = models.bundle.manifest
    return Conditions(
        bundle=manifest.name,
        bundle_digest=manifest.digest,
        weights=manifest.provenance.weights,
        engine=models.engine_name,
        protocol=options.protocol,
        gaze=options.gaze,
        ask_after=options.ask_after,
        data={file.task.name: file.digest for file in files},
        split=_split_name(options),
        limit=options.limit,
        empty=tuple(file.task.name for file in files if not file.questions),
        rules=RULES,
    )


def _split_name(options: argparse.Namespace) -> str:
    if options.split is None:
        return ""
    digest = hashlib.sha256(options.split.read_bytes()).hexdigest()
    return f"{options.part} of {options.split.name} ({digest[:12]})"


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True)


def run_parser() -> argparse.ArgumentParser:
    """The command line of a run and of `--check`."""
    parser = Parser(
        prog="python -m benchmarks.streamgaze",
        description="Ask a bundle the questions of a StreamGaze data set and keep every answer. "
        "A run that was stopped goes on when the same command is given again. "
        "`compare RUN_A RUN_B` and `report RUN ...` work on finished runs, `merge` makes one "
        "run of several, `sharing` measures what "
        "shared work saves, `memory` weighs a run; each has its own --help.",
    )
    parser.add_argument(
        "--check", action="store_true", help="list every problem of the data set, run no model"
    )
    parser.add_argument("--out", type=Path, metavar="RUN", help="folder of this run's results")
    add_data_options(parser)
    add_way_options(parser)
    add_place_options(parser)
    return parser


def check_options(options: argparse.Namespace) -> None:
    """Refuse what can't be done together. Raises DataSetError."""
    if not options.check and (options.bundle is None or options.out is None):
        raise DataSetError("give --bundle and --out for a run, or --check")
    if options.ask_after and options.protocol == "released":
        raise DataSetError("--ask-after belongs to --protocol causal: released has no tail step")
    check_place_options(options)


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Which questions of which data set."""
    parser.add_argument(
        "--data",
        type=location,
        required=True,
        metavar="DIR",
        help="the data set: a folder or a URL",
    )
    parser.add_argument(
        "--video-dir",
        type=location,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders or URLs (default: DATA/videos)",
    )
    parser.add_argument(
        "--fixation-dir",
        type=location,
        nargs="+",
        default=[],
        metavar="DIR",
        help="of the fixation files (default: DATA/fixations and DATA), before the video's folder",
    )
    parser.add_argument(
        "--tasks", nargs="+", default=[], metavar="TASK", help="short or long names (default: all)"
    )
    parser.add_argument("--split", type=Path, metavar="FILE", help="JSON: videos of each part")
    parser.add_argument("--part", default="test", help="of the split (default: test)")
    parser.add_argument(
        "--limit", type=numbers.whole(1), metavar="N", help="the first N questions of each task"
    )
    add_cache_options(parser)


def add_way_options(parser: argparse.ArgumentParser) -> None:
    """With which engine, and how."""
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="the engine bundle")
    parser.add_argument("--protocol", choices=("causal", "released"), default="causal")
    parser.add_argument(
        "--gaze",
        choices=("yes", "none", "shuffled"),
        default="yes",
        help="shuffled: every fixation in the place of another one of its video",
    )
    parser.add_argument(
        "--ask-after",
        type=numbers.number(0, numbers.MOST_SECONDS),
        default=0.0,
        metavar="S",
        help="ask so many seconds later: time stamps are rounded, the fixation may begin after",
    )
    engine = parser.add_argument_group("engine")
    engine.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="of the bundle's graphs, as in runtime.live (default: the first that is there); "
        "as-cuda: on the CPU, what CUDA makes of a bundle for it; or torch: PyTorch with hooks, "
        "from the checkpoints that the bundle was made of",
    )
    engine.add_argument(
        "--threads", type=numbers.whole(0), default=0, metavar="N", help="of the CPU; 0: all cores"
    )
    engine.add_argument("--qwen", type=Path, metavar="DIR", help="torch: Qwen2.5-VL folder")
    engine.add_argument("--vjepa", type=Path, metavar="FILE", help="torch: V-JEPA 2.1 checkpoint")
    engine.add_argument(
        "--gaze-checkpoint", type=Path, metavar="FILE", help="torch: GazeQwen checkpoint"
    )
