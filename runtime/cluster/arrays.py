"""A job as an array of shards on SLURM: what is done is put together first, then again at the end.

The number of shards may be another one each time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from runtime.cluster.command_line import missing_extra, without
from runtime.cluster.units import ClusterError

SHARDS = "shards"  # a folder in that of the results
RunAll = Callable[[Sequence[Sequence[str]]], list[str]]


@dataclass(frozen=True, slots=True)
class ShardedJob:
    """A command with --shard, --after and --out. `module`: of its program; `is_begun`: whether a
    folder holds results of it; `merge`: puts folders of results together in another one; `whole`:
    its options of one value that no shard is given."""

    module: str
    is_begun: Callable[[Path], bool]
    merge: Callable[[Sequence[Path], Path], object]
    whole: tuple[str, ...] = ()


def run_on_slurm(options: argparse.Namespace, arguments: Sequence[str], job: ShardedJob) -> None:
    """Do what is not done yet. Raises ClusterError, and what merging raises."""
    try:
        from runtime.cluster.slurm import run_array  # an extra
    except ImportError as error:
        raise missing_extra("slurm", error) from error
    run_shards(options, arguments, job, partial(run_array, options))


def run_shards(
    options: argparse.Namespace, arguments: Sequence[str], job: ShardedJob, run_all: RunAll
) -> None:
    """`run_all` runs the commands of all shards and says what the failed ones said."""
    _put_together(options.out, job)  # of an array that was stopped, or of another number of shards
    after = [*options.after, *([options.out] if job.is_begun(options.out) else [])]
    common = without(arguments, "--on", "--out", "--workers", *job.whole)
    commands = []
    for index in range(1, options.workers + 1):
        out = options.out / SHARDS / f"{index}-of-{options.workers}"
        part = ["--shard", f"{index}/{options.workers}", "--out", str(out)]
        done = ["--after", *map(str, after)] if after else []
        commands.append([job.module, *common, *part, *done])
    errors = run_all(commands)
    _put_together(options.out, job)
    if errors:
        raise ClusterError(f"{len(errors)} of {len(commands)} shards failed: {errors[0]}")


def _put_together(out: Path, job: ShardedJob) -> None:
    begun = [folder for folder in sorted((out / SHARDS).glob("*")) if job.is_begun(folder)]
    if begun:
        job.merge(begun, out)
