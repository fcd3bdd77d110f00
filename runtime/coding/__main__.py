"""`python -m runtime.coding REC... --out DIR`: what every fixation was on, and tables of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from devices import numbers
from devices.device import DeviceError
from devices.parser import Parser, complain, say
from devices.printable import printable
from runtime.bundle.opening import Bundle
from runtime.cluster.command_line import add_place_options, check_place_options, resolved
from runtime.cluster.spread import spread_on_ray
from runtime.cluster.units import Opener
from runtime.coding.coding import CodingWay, RecordingCoder
from runtime.coding.ledger import CODING, CodingError
from runtime.coding.outputs.drawn import draw_coding
from runtime.coding.outputs.report import warnings
from runtime.coding.outputs.writing import write_recording, write_together
from runtime.coding.question import NONE_LISTED, THRESHOLD, WORDING, CodingQuestion, listed_things
from runtime.coding.recipe import Recipe
from runtime.coding.results import Coding, read_coding
from runtime.coding.source import CodingSource, folder_names, open_source, sources
from runtime.coding.spread import merging
from runtime.coding.spread.work import CodingStore, CodingWork, costs, not_whole
from runtime.engines.choice import ENGINES, Machine
from runtime.errors import RuntimeFault
from runtime.heap import keep_heap_flat
from runtime.model.opening import open_models
from runtime.run.command_line import MINI, RATE, SERVED_AT
from runtime.terminal import SafeConsole, fill_closed_streams
from runtime.viewer.drawing import check_target

LONGEST = 1000  # characters of a line


def main(arguments: Sequence[str] | None = None) -> int:
    """Code recordings; returns the exit status."""
    keep_heap_flat()
    fill_closed_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    console = SafeConsole()
    if given[:1] == ["merge"]:
        return _ended(partial(merging.run, given[1:], console), "the results")
    options = parse_arguments(given)
    where = options.out or options.review
    return _ended(partial(do, options, given, console), where)


def do(options: argparse.Namespace, given: Sequence[str], console: SafeConsole) -> None:
    """Review, or code, here or elsewhere."""
    if options.review is not None:
        review(options, console)
    elif options.on == "local":
        code_all(options, console)
    else:
        code_elsewhere(options, given, console)


def _ended(act: Callable[[], None], where: object) -> int:
    """The exit status of an act, and in one line what was wrong."""
    try:
        act()
    except (RuntimeFault, DeviceError) as error:
        complain(error)
        return 1
    except OSError as error:
        complain(f"{error.filename or where}: {error.strerror}")
        return 1
    except MemoryError:
        complain("the memory does not suffice for this bundle")
        return 1
    except KeyboardInterrupt:
        say("interrupted: the same command goes on where it was")
        return 1
    return 0


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="python -m runtime.coding",
        description="Say for every fixation of recordings what it was on. A coding that was "
        "stopped goes on when the same command is given again.",
    )
    parser.add_argument("recordings", nargs="*", type=Path, metavar="REC")
    parser.add_argument("--out", type=Path, metavar="DIR", help="of the results")
    parser.add_argument(
        "--bundle", type=Path, default=MINI, metavar="DIR", help="default: the shipped mini"
    )
    asked = parser.add_argument_group("what is asked")
    asked.add_argument(
        "--things", metavar="LIST", help="names with commas between them; without: free text"
    )
    asked.add_argument("--question", default=WORDING, metavar="TEXT", help=f"default: {WORDING}")
    asked.add_argument(
        "--check",
        choices=("yes", "no"),
        default="yes",
        help="whether the thing chosen is confirmed by a second, shorter prefill, so that what is "
        "on no list is told apart",
    )
    asked.add_argument(
        "--unsure-below",
        type=numbers.number(0, 1),
        default=THRESHOLD,
        metavar="P",
        help=f"a confidence below it is unsure (default {THRESHOLD:g})",
    )
    asked.add_argument(
        "--gaze",
        choices=("yes", "none", "both"),
        default="yes",
        help="both: each fixation without gaze, too, to see whether gaze decided",
    )
    seen = parser.add_argument_group("what is looked at")
    seen.add_argument(
        "--fixations",
        choices=("adaptive", "dispersion", "velocity", "device"),
        help="find them so (default: those of the maker's table, else the tracker's own, else as "
        "the bundle says)",
    )
    seen.add_argument("--fixation-file", type=Path, metavar="CSV", help="of a plain video")
    seen.add_argument(
        "--share",
        type=numbers.number(0, 10),
        default=0.1,
        metavar="SECONDS",
        help="fixations whose middles lie so near share one encoded step (default 0.1)",
    )
    seen.add_argument("--fps", type=RATE, default=1.0, metavar="RATE", help="of a step (default 1)")
    parser.add_argument("--bids", action="store_true", help="write a BIDS data set, too")
    parser.add_argument(
        "--rerun", metavar="FILE", help="draw it for Rerun's viewer; 'connect': one that runs"
    )
    parser.add_argument("--corrections", type=Path, metavar="CSV", help="of the one recording")
    parser.add_argument("--engine", choices=ENGINES, default="auto")
    checked = parser.add_argument_group("checking by hand")
    checked.add_argument(
        "--review", type=Path, metavar="DIR", help="correct the results in DIR, on a page"
    )
    checked.add_argument(
        "--serve", default=SERVED_AT, metavar="HOST:PORT", help=f"the page (default {SERVED_AT})"
    )
    checked.add_argument(
        "--tls",
        nargs="+",
        metavar=("auto | CERT", "KEY"),
        help="serve it over TLS: with these files, or as an authority made here once vouches",
    )
    add_place_options(parser)
    options = parser.parse_args(arguments)
    if options.review is not None and (options.recordings or options.out):
        parser.error("--review DIR takes what lies in DIR: leave out REC and --out")
    if options.tls is not None and options.review is None:
        parser.error("--tls belongs to --review")
    if options.review is None and not (options.recordings and options.out):
        parser.error("give recordings and --out DIR, or --review DIR")
    return options


def review(options: argparse.Namespace, console: SafeConsole) -> None:
    """Serve the page on which results are corrected, until it is ended."""
    from runtime.coding.review.serving import serve  # no coding waits for a server

    serve(options.review, options.corrections, options.serve, options.tls, console)


def code_all(options: argparse.Namespace, console: SafeConsole) -> None:
    """Code every recording, then write what is of all of them."""
    found = checked_recordings(options)
    if options.shard is not None:
        own = options.shard.of(costs(found))
        found = {name: path for name, path in found.items() if name in own}
    bundle = Bundle.open(options.bundle)
    models = open_models(options.engine, bundle, Machine.here(), threads=options.cores or 0).models
    coder = RecordingCoder(models, way_of(options))
    console.print(printable(f"bundle {bundle.manifest.name}, {models.engine_name}", LONGEST))
    write_all(options, found, bundle, console, coder)


def code_elsewhere(options: argparse.Namespace, given: Sequence[str], console: SafeConsole) -> None:
    """Code every recording at a place, then write what is of all of them here."""
    check_place_options(options)
    if options.on == "slurm":
        raise CodingError("--on slurm is not there for codings: give each task its --shard I/N")
    found = checked_recordings(options)
    bundle = Bundle.open(options.bundle)
    store = CodingStore(options.out, bundle.manifest.digest)
    pending = not_whole(options, way_of(options), bundle.manifest, found)
    opener = Opener("runtime.coding.__main__:open_work", (str(Path.cwd()), *given))
    spread_on_ray(options, opener, costs(pending), store, "recordings", console)
    done = {name: path for name, path in found.items() if name not in store.skipped}
    write_all(options, done, bundle, console)
    if store.skipped:
        raise CodingError(f"{len(store.skipped)} recordings could not be coded, said above")


def open_work(arguments: Sequence[str]) -> CodingWork:
    """As a worker opens it. `arguments`: the folder that paths are taken from, then a coding's."""
    folder, *given = arguments
    options = resolved(parse_arguments(given), Path(folder))
    return CodingWork(options, way_of(options), checked_recordings(options))


def way_of(options: argparse.Namespace) -> CodingWay:
    """How the command line wants fixations coded."""
    things = () if options.things is None else listed_things(options.things)
    question = CodingQuestion(things, options.question, options.check == "yes")
    return CodingWay(question, options.gaze, options.share, options.fps)


def checked_recordings(options: argparse.Namespace) -> dict[str, Path]:
    """The recordings by the names of their folders. Raises CodingError, DeviceError."""
    paths = sources(options.recordings)
    if options.corrections is not None and len(paths) > 1:
        raise CodingError("--corrections belongs to one recording: give one")
    if options.rerun is not None and len(paths) > 1:
        raise CodingError("--rerun draws one recording: give one")
    if options.rerun is not None:
        check_target(options.rerun, replaces=True)
    if options.corrections is not None and not options.corrections.is_file():
        raise CodingError(f"--corrections {options.corrections}: there is no such file")
    return dict(zip(folder_names(paths), paths, strict=True))


def write_all(
    options: argparse.Namespace,
    found: dict[str, Path],
    bundle: Bundle,
    console: SafeConsole,
    coder: RecordingCoder | None = None,
) -> None:
    """Write the tables of recordings; `coder` codes each before, without one all are coded."""
    codings = []
    for name, path in found.items():
        source = open_source(
            path, bundle.manifest.settings, options.fixations, options.fixation_file
        )
        for line in source.read.notices:
            console.print(printable(line, LONGEST))
        if coder is not None:
            _code(coder, source, options.out / name, console)
        Recipe.of(options, path).write(options.out / name)
        codings.append(_written(options, source, options.out / name, console))
    write_together(codings, options.out, options.bids)
    if options.rerun is not None:
        draw_coding(codings[0], options.rerun)
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


if __name__ == "__main__":
    sys.exit(main())
