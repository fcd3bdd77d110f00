"""`python -m runtime.coding.compare`: how far two coders agree, or one with what was proposed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from devices.parser import Parser, complain
from devices.printable import printable
from runtime.coding.review.agreement import agreement, lines
from runtime.coding.review.corrections import read_corrections
from runtime.errors import RuntimeFault
from runtime.terminal import SafeConsole

LONGEST = 1000  # characters of a line


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; returns the exit status."""
    parser = Parser(
        prog="python -m runtime.coding.compare",
        description="Compare two coders' corrections of one recording, fixation by fixation; or "
        "one coder's with the proposals that stand in the same file.",
    )
    parser.add_argument("one", type=Path, metavar="CORRECTIONS")
    parser.add_argument("other", type=Path, nargs="?", metavar="CORRECTIONS")
    options = parser.parse_args(arguments)
    try:
        one = read_corrections(options.one)
        if options.other is None:
            found = agreement(one, read_corrections(options.one, "proposal"))
        else:
            found = agreement(one, read_corrections(options.other))
    except RuntimeFault as error:
        complain(error)
        return 1
    console = SafeConsole()
    for line in lines(found):
        console.print(("  " if line.startswith(" ") else "") + printable(line, LONGEST))
    return 0


if __name__ == "__main__":
    sys.exit(main())
