"""What serves a page, in a process of its own, until a test is done with it."""

import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager


@contextmanager
def served_page(module, *arguments, said=None):
    """Yields (the page's address, the process). `said`: a list for the lines up to then."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
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
            raise AssertionError("it ended before the page was served")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield found[1], process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
