"""The page of checking by hand, in a process of its own, at a free port."""

import re
import signal
import subprocess
import sys
from contextlib import contextmanager


@contextmanager
def reviewed(folder, *more, address="127.0.0.1:0"):
    """Yields (the page's address, the process)."""
    command = [sys.executable, "-m", "runtime.coding", "--review", str(folder)]
    process = subprocess.Popen(
        [*command, "--serve", address, *more],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in process.stdout:
            if found := re.search(r"page +(http\S+)", line):
                break
        else:
            raise AssertionError("it ended before the page was served")
        yield found[1], process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
