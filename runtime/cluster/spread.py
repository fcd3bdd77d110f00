"""A job on a place, from its options: what the jobs have in common."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from devices.printable import printable
from runtime.cluster.command_line import GIBIBYTE, missing_extra
from runtime.cluster.dispatch import Dispatcher, Rules
from runtime.cluster.handing_over import packed
from runtime.cluster.progress import LONGEST, SpreadProgress
from runtime.cluster.units import Opener, Store, Unit


def spread_on_ray(
    options: argparse.Namespace,
    opener: Opener,
    units: list[Unit],
    store: Store,
    noun: str,
    console: Console,
) -> None:
    """Do units on Ray. Raises ClusterError, and what the store does."""
    if not units:
        return
    try:
        # Ray is an extra, and large: nothing of it is imported before it is asked for.
        from runtime.cluster.ray_place import Connection, Needs, RayPlace
    except ImportError as error:
        raise missing_extra("ray", error) from error
    needs = Needs(options.cores or 1, options.gpus, round(options.worker_memory * GIBIBYTE))
    handed = packed(Path(options.bundle)) if options.hand_over else None
    with Connection(options.address, options.dashboard):
        place = RayPlace(opener, needs, handed)
        with SpreadProgress(console, options.out, len(units), noun) as progress:
            rules = Rules(stalled_after=options.stalled_after)
            Dispatcher(place, store, rules, progress.heard).run(units, options.workers)
        for line in progress.summary():
            console.print(printable(line, LONGEST))
