"""Work of no meaning whose units can go wrong, for workers in other processes."""

import os
import signal
import time
from pathlib import Path

from runtime.cluster.units import Parcel

LOOPBACK = {"node_ip_address": "127.0.0.2", "include_dashboard": False}  # of Ray's nodes
LARGE = 200_000  # bytes: such a parcel comes through the object store, small ones do not
SAME = b'{"bundle": "mini"}'


class DrawnWork:
    """A unit's result is its key. What else it does stands before the first dash of it."""

    def __init__(self, folder):
        self.conditions = SAME
        self._folder = Path(folder)

    def do(self, key, heard):
        heard()
        attempt = self._folder / key
        is_first = not attempt.exists()
        with attempt.open("ab") as file:
            file.write(b"x")
        kind = key.split("-")[0]
        if kind == "poison" or (kind == "once" and is_first):
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "hang" and is_first:
            time.sleep(600)
        if kind == "wrong":
            raise ValueError("no such frame")
        files = (("picture", bytes(LARGE)),) if kind == "large" else ()
        return Parcel(key, f"{key}\n".encode(), 0.0, files=files)


def open_work(arguments):
    return DrawnWork(arguments[0])


class KeptStore:
    """A store in memory."""

    def __init__(self):
        self.written, self.skipped = [], {}

    def accept(self, conditions):
        assert conditions == SAME

    def write(self, parcel):
        self.written.append(parcel.key)

    def skip(self, unit, cause):
        self.skipped[unit.key] = cause
