"""`sbatch`, `srun`, `scontrol`, `sacct` and `scancel` as one machine: tasks run in turns.

A stand-in by the names of its links. What it knows lies in the folder of SLURM_STAND_IN: a log of
what was called, and the tasks that are to run again.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

JOB = "7"


def sbatch(place, script):
    """Take an array, and run it in a process of its own."""
    text = Path(script).read_text()
    (place / "script").write_text(text)
    wanted = re.search(r"--array=0-(\d+)", text)
    tasks = range(int(wanted[1]) + 1) if wanted else [None]
    subprocess.Popen(
        [sys.executable, __file__, "run", script, *map(str, tasks)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    print(f"Submitted batch job {JOB}")


def run(place, script, *tasks):
    """Each task, and again as often as it is queued again."""
    for task in tasks:
        name = JOB if task == "None" else f"{JOB}_{task}"
        array = {} if task == "None" else {"SLURM_ARRAY_JOB_ID": JOB, "SLURM_ARRAY_TASK_ID": task}
        own = {**os.environ, "SLURM_JOB_ID": JOB, "SLURM_PROCID": "0", **array}
        while True:
            subprocess.run(["bash", script], env=own, check=False)
            again = place / f"again-{name}"
            if not again.exists():
                break
            again.unlink()


def srun(place, *words):
    """The command behind the options."""
    first = next(n for n, word in enumerate(words) if word == sys.executable)
    os.execv(words[first], words[first:])


def scontrol(place, act, task):
    """Queue a task again."""
    assert act == "requeue"
    (place / f"again-{task}").touch()


def sacct(place, *words):
    """Nothing is known of any task: what it leaves behind says that it ended."""
    print("JobID|State")


def main(name, *words):
    place = Path(os.environ["SLURM_STAND_IN"])
    with (place / "called").open("a") as log:
        log.write(f"{name} {' '.join(words)}\n")
    {"sbatch": sbatch, "run": run, "srun": srun, "scontrol": scontrol, "sacct": sacct}[name](
        place, *words
    )


if __name__ == "__main__":
    called = Path(sys.argv[0]).name
    main(*(sys.argv[1:] if called.endswith(".py") else (called, *sys.argv[1:])))
