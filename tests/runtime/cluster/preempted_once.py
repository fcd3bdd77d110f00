"""A command that is at work until it is killed, and done at once when it is given again."""

import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if (folder / "pid").exists():
        (folder / "done").touch()
    else:
        (folder / "part").write_text(str(os.getpid()))
        (folder / "part").rename(folder / "pid")
        time.sleep(600)
