"""Arrays of shards: through submitit to a stand-in for SLURM, and as processes of this machine."""

import argparse
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from several_recordings import ASKED, coded_here, draw_several, files_of

from runtime.cluster.arrays import run_shards
from runtime.cluster.units import ClusterError
from runtime.coding.__main__ import JOB, main, parse_arguments

pytestmark = pytest.mark.cluster
submitit = pytest.importorskip("submitit", reason="needs the extra 'cluster'")
PREEMPTION = (signal.SIGTERM, submitit.JobEnvironment._usr_sig())
COMMANDS = ("sbatch", "srun", "scontrol", "sacct")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_several(tmp_path_factory.mktemp("several"))


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    return coded_here(folder, tmp_path_factory.mktemp("whole") / "out")


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """The folder of a stand-in for SLURM, whose commands are found first."""
    place = tmp_path / "slurm"
    (place / "bin").mkdir(parents=True)
    for name in COMMANDS:
        command = place / "bin" / name
        script = Path(__file__).with_name("slurm_stand_in.py")
        command.write_text(f'#!/bin/sh\nexec {sys.executable} {script} {name} "$@"\n')
        command.chmod(0o755)
    monkeypatch.setenv("PATH", str(place / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_STAND_IN", str(place))
    return place


def until(happened, patience=60.0):
    limit = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_codings_in_an_array_on_slurm_are_those_of_one_process(folder, whole, slurm, tmp_path):
    out = tmp_path / "out"
    given = [str(folder), "--out", str(out), *ASKED, "--on", "slurm", "--workers", "2"]
    assert main([*given, "--partition", "lab", "--minutes", "7"]) == 0
    assert files_of(out) == whole
    script = (slurm / "script").read_text()
    for wanted in ("--array=0-1%2", "--partition=lab", "--time=7", "--cpus-per-task=1"):
        assert wanted in script
    assert (slurm / "called").read_text().count("sbatch ") == 1


def test_what_a_shard_says_is_what_the_job_says(folder, tmp_path):
    from runtime.cluster.slurm import run_array

    given = [str(folder), "--out", str(tmp_path / "out"), *ASKED, "--workers", "1"]
    options = parse_arguments([*given, "--on", "slurm"])
    (folder / "third").rename(tmp_path / "third")
    with pytest.raises(ClusterError, match=r"1 of 1 shards failed: .*no such recording"):
        gone = [str(folder / "third"), *given[1:]]
        run_shards(options, gone, JOB, partial(run_array, options, cluster="local"))
    (tmp_path / "third").rename(folder / "third")


def test_a_preempted_shard_is_queued_again_and_takes_its_command_along(
    slurm, tmp_path, monkeypatch
):
    """SLURM tells every process of a task: the command does not end as if it had failed."""
    from runtime.cluster.slurm import run_array

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    wanted = {"cores": 1, "gpus": 0.0, "partition": None, "worker_memory": 0.0, "minutes": 60}
    options = argparse.Namespace(out=tmp_path / "out", **wanted)
    said = []
    command = ["preempted_once", str(tmp_path)]
    waiting = threading.Thread(target=lambda: said.append(run_array(options, [command])))
    waiting.start()
    until((tmp_path / "pid").exists)
    process = int((tmp_path / "pid").read_text())
    task = int(Path(f"/proc/{process}/stat").read_text().split()[3])
    for told in PREEMPTION:
        for each in (process, task):
            os.kill(each, told)
    waiting.join(60)
    assert said == [[]] and (tmp_path / "done").exists()
    assert "scontrol requeue 7\n" in (slurm / "called").read_text()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
