"""Where a batch job runs, as its command line says."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from devices import numbers
from runtime.cluster.shards import Shard
from runtime.cluster.units import ClusterError

MOST_WORKERS = 10_000
GIBIBYTE = 1 << 30


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """Where the work is done; docs/cluster.md tells of it."""
    place = parser.add_argument_group("where it runs")
    place.add_argument(
        "--on", choices=("local", "ray", "slurm"), default="local", help="default: local"
    )
    place.add_argument(
        "--shard", type=Shard.parse, metavar="I/N", help="only the I-th of N parts; then `merge`"
    )
    place.add_argument(
        "--after",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="what is done there is not done again",
    )
    place.add_argument(
        "--address", metavar="HOST:PORT|auto", help="ray: of a cluster (default: this machine)"
    )
    place.add_argument(
        "--workers",
        type=numbers.whole(1, MOST_WORKERS),
        default=1,
        metavar="N",
        help="ray: actors; slurm: tasks of the array",
    )
    place.add_argument(
        "--cores",
        type=numbers.whole(1),
        metavar="N",
        help="that a worker computes with (default: all; elsewhere than here 1)",
    )
    place.add_argument(
        "--gpus", type=numbers.number(0, 64), default=0.0, metavar="N", help="of a worker"
    )
    place.add_argument(
        "--worker-memory",
        type=numbers.number(0, 4096),
        default=0.0,
        metavar="GIB",
        help="ray: what a worker takes; no more are started than fit",
    )
    place.add_argument(
        "--hand-over", action="store_true", help="ray: send the bundle to workers without its path"
    )
    place.add_argument(
        "--stalled-after",
        type=numbers.number(1, numbers.MOST_SECONDS),
        default=600.0,
        metavar="S",
        help="ray: a worker that has not got on for so long is replaced (default 600)",
    )
    place.add_argument("--dashboard", action="store_true", help="ray: its own, on loopback")
    place.add_argument("--partition", metavar="NAME", help="slurm")
    place.add_argument(
        "--minutes", type=numbers.whole(1), default=240, metavar="N", help="slurm: of a task"
    )


def check_place_options(options: argparse.Namespace) -> None:
    """Refuse what can't be done together. Raises ClusterError."""
    if options.shard is not None and options.on != "local":
        raise ClusterError("--shard is for machines that know of no other: leave out --on")
    if options.address is not None and options.on != "ray":
        raise ClusterError("--address belongs to --on ray")
    if options.dashboard and options.address is not None:
        raise ClusterError("--dashboard: a cluster that is joined has its own, or none")


def resolved(options: argparse.Namespace, folder: Path) -> argparse.Namespace:
    """The same with every path taken from `folder` on, for a worker that stands elsewhere."""
    found = {
        name: [folder / each if isinstance(each, Path) else each for each in value]
        if isinstance(value, list)
        else folder / value
        if isinstance(value, Path)
        else value
        for name, value in vars(options).items()
    }
    return argparse.Namespace(**found)


def missing_extra(on: str, error: ImportError) -> ClusterError:
    """The one line for a place whose package is not there."""
    return ClusterError(f"--on {on} needs the extra 'cluster': {error.name} is not installed")


def without(arguments: Sequence[str], *names: str) -> list[str]:
    """A command line without options that take one value each."""
    kept: list[str] = []
    skips = False
    for word in arguments:
        if skips:
            skips = False
        elif word in names:
            skips = True
        elif not any(word.startswith(f"{name}=") for name in names):
            kept.append(word)
    return kept
