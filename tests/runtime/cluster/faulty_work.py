"""The evaluation as workers do it that each have something wrong with them."""

import ctypes
import os
import time

from benchmarks.streamgaze import command, spreading
from benchmarks.streamgaze.data import footage
from devices.recording.video import VideoCursor

PATIENCE = 60.0  # seconds


def wrong_first(arguments, open_wrong):
    """The first worker to come has something wrong; the others wait until it is there."""
    folder = command.run_parser().parse_args(arguments[1:]).out.parent
    try:
        (folder / "came").touch(exist_ok=False)
    except FileExistsError:
        until = time.monotonic() + PATIENCE
        while not (folder / "opened").exists() and time.monotonic() < until:
            time.sleep(0.05)
        return spreading.open_work(arguments)
    work = open_wrong(arguments)
    (folder / "opened").touch()
    return work


def open_other_bundle(arguments):
    """The first to come has another bundle at its path."""
    other = command.run_parser().parse_args(arguments[1:]).out.parent / "other"
    given = (*arguments, "--bundle", str(other))
    return wrong_first(arguments, lambda _: spreading.open_work(given))


def open_other_version(arguments):
    """The first to come is of another version of this project."""
    return wrong_first(arguments, open_all_other_versions)


def open_all_other_versions(arguments):
    """Every one is."""
    spreading.version = lambda name: "9.9"
    return spreading.open_work(arguments)


class CrashingCursor(VideoCursor):
    """A decoder that takes its process with it, at some videos."""

    def __init__(self, video):
        super().__init__(video)
        self._stem = video.files[0].path.stem

    def read(self, index):
        if self._stem == "segfault":
            ctypes.string_at(0)
        if self._stem == "exit":
            os._exit(3)
        return super().read(index)


def open_crashing(arguments):
    """Some videos crash the decoder, wherever it runs."""
    footage.VideoCursor = CrashingCursor
    return spreading.open_work(arguments)
