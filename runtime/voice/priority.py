"""Threads that give way to those that answer."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

NICENESS = 5


def be_nice() -> None:
    """Lower the priority of the calling thread, where the system can do that to one thread."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
