"""`--on slurm`: an array of shards. One that is preempted is queued again, and goes on."""

from __future__ import annotations

import argparse
import math
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import submitit
from submitit.helpers import DelayedSubmission

from runtime.cluster.units import ClusterError

LAST = 500  # characters of what a failed shard said
FAILED = "RuntimeError: "  # as a trace has it
PREEMPTION = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class ShardCommand:
    """One shard's command, as a task of an array. Raises RuntimeError where it fails.

    SLURM tells every process of a task that it is preempted. The command does not heed that: it
    would end as if it had failed. This process does, is queued again and takes the command along.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)

    def __call__(self) -> None:
        ended = subprocess.run(
            [sys.executable, "-m", *self._words],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            preexec_fn=_heedless,
        )
        if ended.returncode:
            last = ended.stderr.strip().rpartition("\n")[2]
            raise RuntimeError(last[-LAST:] or f"exit status {ended.returncode}")

    def checkpoint(self) -> DelayedSubmission:
        """What is queued when it is preempted: the same, which goes on from its own results."""
        return DelayedSubmission(self)


def _heedless() -> None:
    for each in PREEMPTION:
        signal.signal(each, signal.SIG_IGN)


def run_array(
    options: argparse.Namespace, commands: Sequence[Sequence[str]], cluster: str = "slurm"
) -> list[str]:
    """Run commands (module and arguments) as an array, and wait; what the failed ones said.

    `cluster`: submitit's name of where; "local" runs them on this machine. Raises ClusterError.
    """
    if cluster == "slurm" and shutil.which("sbatch") is None:
        raise ClusterError("--on slurm: there is no sbatch here: log in to a node of the cluster")
    executor = submitit.AutoExecutor(folder=Path(options.out) / "slurm", cluster=cluster)
    wanted: dict[str, object] = {
        "timeout_min": options.minutes,
        "cpus_per_task": options.cores or 1,
        "name": "gazeqwen",
    }
    if options.gpus:
        wanted["gpus_per_node"] = math.ceil(options.gpus)
    if cluster == "slurm":
        wanted["slurm_array_parallelism"] = len(commands)
        if options.partition:
            wanted["slurm_partition"] = options.partition
        if options.worker_memory:
            wanted["mem_gb"] = options.worker_memory
    executor.update_parameters(**wanted)
    try:
        with executor.batch():  # one array
            jobs = [executor.submit(ShardCommand(each)) for each in commands]
    except submitit.core.utils.FailedJobError as error:
        raise ClusterError(f"--on slurm: {error}") from error
    return [_said(error) for error in (job.exception() for job in jobs) if error is not None]


def _said(error: Exception) -> str:
    """What the command said, out of what submitit tells of it; else the first line of that."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    own = [line.removeprefix(FAILED) for line in lines if line.startswith(FAILED)]
    return own[-1] if own else lines[0]
