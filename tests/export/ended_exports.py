"""Exports that end before their time, each in a process of its own, as a program of its own.

    python tests/export/ended_exports.py ENDS ARGUMENTS...

ENDS is a JSON list, one entry an export: {"kill_at": [name, n]} kills it where it would sync the
file `name` for the n-th time, {"interrupt_at": [name, n]} is Ctrl-C there, {"limit": n} lets no
file grow beyond n bytes, {"damage": {name: how}} harms files of the folder first. Prints a JSON
list of what came of each: status (negative for a signal), what was said, whether there is a
manifest, and the files that were written. PyTorch is imported once; nothing of it runs before the
processes part, so that they may.
"""

import io
import json
import os
import resource
import signal
import sys
import tempfile
from contextlib import redirect_stderr
from pathlib import Path

from export import builder  # noqa: F401 - all that takes long to import
from export.__main__ import main

DAMAGES = {
    "flip": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "cut": lambda content: content[:-100],
    "append": lambda content: content + b"half a matrix",
}


def damage(folder, harms):
    for name, how in harms.items():
        path = folder / name
        if how == "delete":
            path.unlink()
        else:
            path.write_bytes(DAMAGES[how](path.read_bytes()))


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt():
    raise KeyboardInterrupt


def end_at(name, count, end):
    sync, left = os.fsync, count

    def counting(descriptor):
        nonlocal left
        left -= Path(f"/proc/self/fd/{descriptor}").readlink().name == name
        if not left:
            end()
        sync(descriptor)

    os.fsync = counting


def export(end, arguments, errors):
    """In a process of its own."""
    if "kill_at" in end:
        end_at(*end["kill_at"], kill)
    if "interrupt_at" in end:
        end_at(*end["interrupt_at"], interrupt)
    if "limit" in end:
        resource.setrlimit(resource.RLIMIT_FSIZE, (end["limit"], end["limit"]))
    said = io.StringIO()
    status = 99  # of a traceback
    try:
        with redirect_stderr(said):
            status = main(arguments)
    finally:
        os.write(errors.fileno(), said.getvalue().encode())
        os._exit(status)


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*")}


def run(end, arguments):
    folder = Path(arguments[arguments.index("--out") + 1])
    damage(folder, end.get("damage", {}))
    before = times(folder)
    with tempfile.TemporaryFile() as errors:
        process = os.fork()
        if not process:
            export(end, arguments, errors)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        errors.seek(0)
        lines = errors.read().decode().splitlines()
    return {
        "status": status,
        "said": [line for line in lines if line.startswith(("error", "interrupted", "Traceback"))],
        "manifest": (folder / "bundle.json").exists(),
        "written": sorted(name for name, time in times(folder).items() if before.get(name) != time),
    }


if __name__ == "__main__":
    print(json.dumps([run(end, sys.argv[2:]) for end in json.loads(sys.argv[1])]))
