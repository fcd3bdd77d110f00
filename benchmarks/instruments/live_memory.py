"""How much memory the shipped live command takes, second by second of its stream."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS
from runtime.errors import RuntimeFault

WARM_UP = 0.15  # of a run
MEBIBYTE = 1 << 20
PARENT_DEATH_SIGNAL = 1  # name of Linux's prctl(2)


def live_memory(bundle: Path, seconds: float) -> NDArray[np.float64]:
    """Run `python -m runtime.live --fast` on the synthetic wearer, in a process of its own.

    Returns stream seconds and MiB resident, a row for each second of stream. Raises RuntimeFault
    for a run that fails.
    """
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "runtime.live", "--bundle", str(bundle), "--fast"),
            *("--seconds", str(seconds), "--record", f"/dev/fd/{writer}"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(writer,),
        preexec_fn=end_with_parent(),
    )
    os.close(writer)
    rows: list[tuple[int, float]] = []
    with os.fdopen(reader, "rb") as records, process:
        for line in records:
            record = msgspec.json.decode(line)
            if record["kind"] == "second":
                rows.append((record["at"], resident(process.pid)))
        said = process.stderr.read().decode(errors="replace") if process.stderr else ""
    if process.returncode != 0 or not rows:
        raise RuntimeFault(f"the live command ended with {process.returncode}: {said.strip()}")
    memory = np.array(rows, np.float64)
    memory[:, 0] = (memory[:, 0] - memory[0, 0]) / NANOSECONDS
    return memory


def end_with_parent() -> Callable[[], None] | None:
    """What a child does first so that it is killed when its parent is; None where it can't be.

    The parent is the thread that starts the child.
    """
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    parent = os.getpid()

    def ask() -> None:
        prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the child could ask
            os._exit(1)

    return ask


def resident(process: int | None = None) -> float:
    """MiB that a process holds itself, this one's for None; not a number where none is told.

    Pages of files are left out: the system drops and fetches them as others need its memory.
    """
    try:
        told = Path(f"/proc/{process or 'self'}/statm").read_text()
    except OSError:
        return float("nan")
    pages, of_files = map(int, told.split()[1:3])
    return (pages - of_files) * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE


def slope(memory: NDArray[np.float64]) -> float | None:
    """Growth after warm-up of (seconds, MiB) in rows, MiB per hour; None where it is unknown."""
    steady = memory[round(WARM_UP * len(memory)) :]
    steady = steady[np.isfinite(steady[:, 1])]
    if len(steady) < 2:
        return None
    return float(np.polyfit(steady[:, 0], steady[:, 1], 1)[0] * 3600)
