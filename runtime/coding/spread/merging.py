"""`merge DIR...`: the codings of several folders in one, as of shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from devices.parser import Parser
from runtime.coding.ledger import CODING, CodingError
from runtime.coding.spread.work import CODES, add_codes
from runtime.terminal import SafeConsole


def run(arguments: Sequence[str], console: SafeConsole) -> None:
    """The command line. Raises CodingError."""
    parser = Parser(
        prog="python -m runtime.coding merge",
        description="Put the codings of several folders together, each fixation once. The command "
        "that coded them, without --shard and with this --out, then writes the tables.",
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    count = merge(options.folders, options.out)
    console.print(f"{count} codings put together in {options.out}")


def is_begun(folder: Path) -> bool:
    """Whether there is a coding of any recording in a folder."""
    return any(folder.glob(f"*/{CODES}"))


def merge(folders: Sequence[Path], out: Path) -> int:
    """The union of codings by recording and fixation; how many there were. Raises CodingError."""
    made = [path for folder in folders for path in sorted(folder.glob(f"*/{CODES}"))]
    if not made:
        raise CodingError(f"{folders[0]}: there is no coding in it")
    for path in made:
        own = path.parent
        crops = sorted(own.glob("crops/*.jpg"))
        files = {each.relative_to(own).as_posix(): each.read_bytes() for each in crops}
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        add_codes(out / own.name, CODING.read_conditions(own), whole, files)
    return len({path.parent.name for path in made})
