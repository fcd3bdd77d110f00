"""Inputs as they are typed: paths of this machine, and URLs of files and folders elsewhere."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from devices.printable import printable
from runtime.errors import RuntimeFault

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
MAGIC = re.compile(r"[*\[]")
LONGEST = 300  # characters that are shown


class RemoteError(RuntimeFault):
    """An input by URL can't be had, in one line."""


@dataclass(frozen=True, slots=True)
class Url:
    """As typed. It is shown without what may be secret in it: a password, a signature."""

    text: str

    def __str__(self) -> str:
        return printable(self.public, LONGEST)

    @property
    def public(self) -> str:
        """All of it that may be written down."""
        parts = urlsplit(self.text)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def name(self) -> str:
        """Of the file or folder."""
        parts = urlsplit(self.text)
        return PurePosixPath(unquote(parts.path)).name or parts.netloc

    @property
    def is_web(self) -> bool:
        """Whether it is a page's address: there every folder is a file, too."""
        return urlsplit(self.text).scheme in ("http", "https")

    @property
    def fixed(self) -> Url | None:
        """Of a pattern the folder in front of its first wild card; None for a URL that is none."""
        path = self.text.find("/", SCHEME.match(self.text).end())
        wild = MAGIC.search(urlsplit(self.text).path)
        if wild is None:
            return None
        return Url(self.text[: self.text.rindex("/", 0, path + wild.start()) + 1])

    def below(self, name: str) -> Url:
        """Of what lies in this folder."""
        return Url(f"{self.text.rstrip('/')}/{name}")


Location = Path | Url


def location(text: str) -> Location:
    """What a command line names, as an argument's type."""
    if not SCHEME.match(text):
        return Path(text)
    try:
        name = Url(text).name
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a URL: {error}") from error
    if not is_inside(name):
        raise ArgumentTypeError(f"{text!r}: no file or folder here can have its name")
    return Url(text)


def is_inside(name: str) -> bool:
    """Whether a name from elsewhere, with slashes or not, stays in the folder it is put into."""
    pure = PurePosixPath(name)
    return bool(pure.parts) and not (pure.is_absolute() or ".." in pure.parts or "\0" in name)
