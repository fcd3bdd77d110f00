"""What a machine draws: NVIDIA's driver for a GPU with a board of its own, tegrastats on a Jetson.

NVML counts energy itself (from Volta on, in mJ); tegrastats tells the power of its rails in mW,
from which energy is summed up.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Protocol

INTERVAL = 100  # ms from one line of tegrastats to the next
# The rail of a whole Jetson: its name differs by module. Its present power comes before the mean's.
WHOLE = re.compile(r"\b(?:VDD_IN|VIN_SYS_5V0|POM_5V_IN|VIN) (\d+)mW/")
RAILS = re.compile(r"\b(?:VDD|VIN|POM)_\w+ (\d+)mW/")


class Meter(Protocol):
    """Joules since some moment in the past; `name`: what they are of."""

    name: str

    def joules(self) -> float:
        """Up to now."""
        ...


class NvmlMeter:
    """The energy counter of the first GPU."""

    def __init__(self, driver: object, gpu: object) -> None:
        self._driver, self._gpu = driver, gpu
        self.name = f"NVML, {driver.nvmlDeviceGetName(gpu)}"
        self.joules()

    def joules(self) -> float:
        """See `Meter`. Raises the driver's error where it counts none."""
        return self._driver.nvmlDeviceGetTotalEnergyConsumption(self._gpu) / 1e3


class RailMeter:
    """Adds up the power of lines of tegrastats, each of which holds until the next one."""

    name = "tegrastats, the whole module"

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now`: seconds of a monotonic clock."""
        self._now = now
        self._lock = Lock()
        self._joules, self._watts, self._at = 0.0, 0.0, now()
        self.has_heard = Event()

    def hear(self, line: str) -> None:
        """One line has come."""
        if (watts := watts_of(line)) is not None:
            with self._lock:
                self._add()
                self._watts = watts
            self.has_heard.set()

    def joules(self) -> float:
        """See `Meter`."""
        with self._lock:
            self._add()
            return self._joules

    def _add(self) -> None:
        now = self._now()
        self._joules += self._watts * (now - self._at)
        self._at = now


def watts_of(line: str) -> float | None:
    """The power of a line of tegrastats: of the whole module where it is told, else of all rails.

    None where it tells none.
    """
    whole = WHOLE.search(line)
    milliwatts = [int(whole[1])] if whole else [int(each) for each in RAILS.findall(line)]
    return sum(milliwatts) / 1e3 if milliwatts else None


@contextmanager
def open_meter() -> Iterator[Meter | None]:
    """What this machine can be measured with; None for nothing."""
    with _nvml() as meter:
        if meter is not None:
            yield meter
            return
    with _tegrastats() as rails:
        yield rails


@contextmanager
def _nvml() -> Iterator[NvmlMeter | None]:
    try:
        import pynvml as driver

        driver.nvmlInit()
    except Exception:  # not installed, or no driver: each version has errors of its own
        yield None
        return
    try:
        try:
            meter = NvmlMeter(driver, driver.nvmlDeviceGetHandleByIndex(0))
        except driver.NVMLError:
            meter = None
        yield meter
    finally:
        driver.nvmlShutdown()


@contextmanager
def _tegrastats() -> Iterator[RailMeter | None]:
    program = shutil.which("tegrastats")
    if program is None:
        yield None
        return
    command = [program, "--interval", str(INTERVAL)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    meter = RailMeter()
    assert process.stdout is not None
    listener = Thread(target=lambda lines: [*map(meter.hear, lines)], args=(process.stdout,))
    listener.start()
    try:
        yield meter if meter.has_heard.wait(timeout=10 * INTERVAL / 1e3) else None
    finally:
        process.kill()
        process.wait()
        listener.join()
