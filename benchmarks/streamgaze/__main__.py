"""`python -m benchmarks.streamgaze`: a run, or one of the commands below."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.streamgaze import memory, merging, sharing, spreading
from benchmarks.streamgaze.data.dataset import DataSetError
from benchmarks.streamgaze.reporting import comparison, report
from devices.parser import complain
from runtime.errors import RuntimeFault
from runtime.terminal import SafeConsole

COMMANDS = {
    "compare": comparison.run,
    "report": report.run,
    "sharing": sharing.run,
    "memory": memory.run,
    "merge": merging.run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    console = SafeConsole()
    try:
        if given and given[0] in COMMANDS:
            return COMMANDS[given[0]](given[1:], console)
        return spreading.run(given, console)
    except (DataSetError, RuntimeFault) as error:
        complain(error)
        return 1
    except OSError as error:
        where = error.filename or "the results"
        complain(f"{where}: {error.strerror}: the same command goes on from here")
        return 1
    except KeyboardInterrupt:
        print("stopped: the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
