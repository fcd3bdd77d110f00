"""`python -m runtime.coding REC... --out DIR`: what every fixation was on, and tables of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from devices import numbers
from devices.device import DeviceError
from devices.parser import Parser, complain, say
from devices.printable import printable
from runtime.bundle.opening import Bundle
from runtime.cluster.arrays import ShardedJob, run_on_slurm
from runtime.cluster.command_line import add_place_options, check_place_options, resolved
from runtime.cluster.spread import spread_on_ray
from runtime.cluster.units import Opener
from runtime.coding.coding import CodingWay, RecordingCoder
from runtime.coding.ledger import CodingError
from runtime.coding.outputs.together import LONGEST, write_all
from runtime.coding.question import THRESHOLD, WORDING, CodingQuestion, listed_things
from runtime.coding.source import folder_names, sources
from runtime.coding.spread import merging
from runtime.coding.spread.left import costs, left
from runtime.coding.spread.work import CodingStore, CodingWork
from runtime.engines.choice import ENGINES, Machine
from runtime.errors import RuntimeFault
from runtime.heap import keep_heap_flat
from runtime.model.opening import open_models
from runtime.remote.copies import LocalCopies, add_cache_options
from runtime.remote.urls import Location, location
from runtime.run.command_line import MINI, RATE, SERVED_AT
from runtime.terminal import SafeConsole, fill_closed_streams
from runtime.viewer.drawing import check_target

JOB = ShardedJob("runtime.coding", merging.is_begun, merging.merge, whole=("--rerun",))


def main(arguments: Sequence[str] | None = None) -> int:
    """Code recordings; returns the exit status."""
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
    check_place_options(options)
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
    parser.add_argument("recordings", nargs="*", type=location, metavar="REC")
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
    seen.add_argument("--fixation-file", type=location, metavar="CSV", help="of a plain video")
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
    add_cache_options(parser)
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

    serve(
        options.review,
        LocalCopies.of(options),
        options.corrections,
        options.serve,
        options.tls,
        console,
    )


def code_all(options: argparse.Namespace, console: SafeConsole) -> None:
    """Code every recording, then write what is of all of them."""
    found = checked_recordings(options)
    if options.shard is not None:
        own = options.shard.of(costs(found))
        found = {name: place for name, place in found.items() if name in own}
    bundle, way = Bundle.open(options.bundle), way_of(options)
    found = left(found, options.after, options, way, bundle.manifest)
    models = open_models(options.engine, bundle, Machine.here(), threads=options.cores or 0).models
    console.print(printable(f"bundle {bundle.manifest.name}, {models.engine_name}", LONGEST))
    write_all(options, found, bundle, console, RecordingCoder(models, way))


def code_elsewhere(options: argparse.Namespace, given: Sequence[str], console: SafeConsole) -> None:
    """Code every recording at a place, then write what is of all of them here."""
    bundle, way = Bundle.open(options.bundle), way_of(options)
    found = left(checked_recordings(options), options.after, options, way, bundle.manifest)
    skipped: dict[str, str] = {}
    if options.on == "slurm":
        run_on_slurm(options, given, JOB)
    else:
        store = CodingStore(options.out, bundle.manifest.digest)
        pending = left(found, [options.out], options, way, bundle.manifest)
        opener = Opener("runtime.coding.__main__:open_work", (str(Path.cwd()), *given))
        spread_on_ray(options, opener, costs(pending), store, "recordings", console)
        skipped = store.skipped
    done = {name: place for name, place in found.items() if name not in skipped}
    write_all(options, done, bundle, console)
    if skipped:
        raise CodingError(f"{len(skipped)} recordings could not be coded, said above")


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


def checked_recordings(options: argparse.Namespace) -> dict[str, Location]:
    """The recordings by the names of their folders. Raises RuntimeFault, DeviceError."""
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


if __name__ == "__main__":
    keep_heap_flat()  # of this process, not of one that calls `main`
    sys.exit(main())
