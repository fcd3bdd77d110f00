"""Threads that give way to those that answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

NICENESS = 5

Made = TypeVar("Made")


def be_nice() -> None:
    """Lower the priority of the calling thread, where the system can do that to one thread."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def made_nicely(make: Callable[[], Made]) -> Made:
    """What `make` gives, called where all threads that it starts inherit the lower priority.

    Libraries start threads of their own as they load a model: those do most of the work later.
    """
    with ThreadPoolExecutor(1, initializer=be_nice) as pool:
        return pool.submit(make).result()
