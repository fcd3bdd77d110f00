"""A live run of mini over a synthetic wearer, served at a free port, in a process of its own."""

import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager


@contextmanager
def served(*more, address="127.0.0.1:0", seconds="600", said=None):
    """Yields (the page's address, the process). `said`: a list for the lines up to then."""
    command = [sys.executable, "-m", "runtime.live", "--serve", address, "--seconds", seconds]
    process = subprocess.Popen(
        [*command, *more],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in process.stdout:
            if said is not None:
                said.append(line)
            if found := re.search(r"page +(https?://\S+)", line):
                break
        else:
            raise AssertionError("the run ended before it was served")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield found[1], process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)
