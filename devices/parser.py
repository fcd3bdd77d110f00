"""Command lines whose complaints are one line."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from typing import NoReturn

from devices.printable import printable

LONGEST = 2000  # characters of a complaint


class Parser(argparse.ArgumentParser):
    """Says what is wrong without the list of all options, which `--help` gives; exit status 2."""

    def error(self, message: str) -> NoReturn:
        complain(f"{message} ({self.prog} --help says more)")
        self.exit(2)


def complain(message: object) -> None:
    """Say in one harmless line what is wrong; nothing where nobody can read it any more."""
    say(f"error: {message}")


def say(message: object) -> None:
    """Say something in one harmless line beside the output."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(printable(str(message), LONGEST), file=sys.stderr, flush=True)
