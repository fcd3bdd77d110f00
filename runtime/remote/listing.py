"""What lies at a URL, and how it comes here: by fsspec (the extra 'url') and its plugins."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from devices.printable import printable
from runtime.remote.urls import LONGEST, RemoteError, Url, is_inside

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

DEEPEST = 12  # folders in a folder: a page of the web could link on without end
MOST_FILES = 200_000  # of one input
SILENT = 60.0  # seconds after which a web server that sends nothing is given up
Facts = Mapping[str, Any]  # what a file system tells of a file


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """`name`: below its input, with slashes; `path`: as its file system knows it. `size`: bytes,
    None where that is not told; `stamp`: changes when the file does, as far as is told."""

    name: str
    path: str
    size: int | None
    stamp: str

    @classmethod
    def of(cls, name: str, path: str, facts: Facts) -> RemoteFile:
        """As its file system tells of it."""
        stamp = str(sorted((key, str(value)) for key, value in facts.items()))
        return cls(name, path, facts.get("size"), stamp)


@dataclass(frozen=True, slots=True)
class RemoteInput:
    """What lies at a URL: one file, or a folder of files."""

    url: Url
    is_folder: bool
    files: tuple[RemoteFile, ...]
    system: AbstractFileSystem

    @property
    def size(self) -> int:
        """Bytes, as far as they are told."""
        return sum(file.size or 0 for file in self.files)

    def fetch(self, folder: Path, heard: Callable[[], None]) -> None:
        """Copy it into `folder`, under its own name. Raises RemoteError.

        `heard` is called as it gets on.
        """
        from fsspec.callbacks import Callback

        callback = Callback(hooks={"heard": lambda size, value, **more: heard()})
        top = folder / self.url.name
        for file in self.files:
            target = top / file.name if self.is_folder else top
            with _in_one_line(self.url):
                target.parent.mkdir(parents=True, exist_ok=True)
                self.system.get_file(file.path, str(target), callback=callback)
                found = target.stat().st_size
            if file.size is not None and found != file.size:
                raise RemoteError(
                    f"{self.url}: {found} of {file.size} bytes came of {file.name}: try again"
                )
            heard()


def examined(url: Url, suffixes: Collection[str] = ()) -> RemoteInput:
    """What lies at a URL; of a folder, the files with these suffixes. Raises RemoteError."""
    system, path = _opened(url)
    with _in_one_line(url):
        facts = system.info(path)
    if facts["type"] != "directory" and not url.text.endswith("/"):
        return RemoteInput(url, False, (RemoteFile.of(url.name, path, facts),), system)
    files = []
    for each in _listed(url, system, path, suffixes):
        with _in_one_line(url):
            told = each.facts if each.facts.get("size") is not None else system.info(each.path)
        files.append(RemoteFile.of(each.name, each.path, told))
    return RemoteInput(url, True, tuple(files), system)


def is_folder(url: Url) -> bool:
    """Whether several files lie there: over the web, where its address ends in a slash."""
    if url.is_web or url.text.endswith("/"):
        return url.text.endswith("/")
    system, path = _opened(url)
    with _in_one_line(url):
        return system.info(path)["type"] == "directory"


def below(url: Url, suffixes: Collection[str]) -> dict[str, Url]:
    """The files of a folder that have these suffixes, by their names in it. Raises RemoteError."""
    listed = _listed(url, *_opened(url), suffixes)
    return {each.name: url.below(each.inside) for each in listed}


def matching(url: Url) -> list[Url]:
    """What a pattern stands for, in order; a URL that is none stands for itself."""
    if url.fixed is None:
        return [url]
    system, path = _opened(url)
    _, root = _opened(url.fixed)
    with _in_one_line(url):
        found = sorted(system.glob(path, detail=True).items())
    found = [each for each in found if is_inside(unquote(_inside(root, each[0])))]
    if not found:
        raise RemoteError(f"{url}: nothing there has such a name")
    return [
        url.fixed.below(_inside(root, place) + ("/" if facts["type"] == "directory" else ""))
        for place, facts in found
    ]


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file below a folder. `inside`: its name as it stands in URLs."""

    name: str
    inside: str
    path: str
    facts: Facts


def _listed(
    url: Url, system: AbstractFileSystem, root: str, suffixes: Collection[str]
) -> list[_Listed]:
    with _in_one_line(url):
        found = sorted(islice(_files(system, root), MOST_FILES + 1), key=itemgetter(0))
    if len(found) > MOST_FILES:
        raise RemoteError(f"{url}: it holds more than {MOST_FILES} files")
    files = []
    for path, facts in found:
        inside = _inside(root, path)
        if url.is_web and "?" in inside:  # a page's link to itself, sorted in another way
            continue
        name = unquote(inside) if url.is_web else inside
        if not is_inside(name):
            raise RemoteError(f"{url}: a file there has a name that can't be one here: {name!r}")
        if not suffixes or PurePosixPath(name).suffix.lower() in suffixes:
            files.append(_Listed(name, inside, path, facts))
    if not files:
        raise RemoteError(f"{url}: there is no {' or '.join(sorted(suffixes)) or 'file'} in it")
    return files


def _files(
    system: AbstractFileSystem, folder: str, deepest: int = DEEPEST
) -> Iterator[tuple[str, Facts]]:
    """All files below a folder. fsspec's own `find` leaves out folders that it can't read."""
    for facts in system.ls(folder, detail=True):
        path = facts["name"]
        if path.rstrip("/") == folder.rstrip("/"):  # a bucket's mark that this is a folder
            continue
        if facts["type"] != "directory":
            yield path, facts
        elif deepest:
            yield from _files(system, path, deepest - 1)
        else:
            raise OSError(f"it is more than {DEEPEST} folders deep")


def _inside(root: str, path: str) -> str:
    return path.removeprefix(root.rstrip("/") + "/").rstrip("/")


def _opened(url: Url) -> tuple[AbstractFileSystem, str]:
    """The file system of a URL, and the path in it. Raises RemoteError."""
    try:
        # An extra: nothing of it is imported for paths.
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise RemoteError(f"{url}: it needs the extra 'url': fsspec is not installed") from error
    with _in_one_line(url):
        return url_to_fs(url.text, **(_web_options() if url.is_web else {}))


def _web_options() -> dict[str, object]:
    """aiohttp gives up any transfer after five minutes unless it is told otherwise."""
    from aiohttp import ClientTimeout

    return {"client_kwargs": {"timeout": ClientTimeout(total=None, sock_read=SILENT)}}


@contextmanager
def _in_one_line(url: Url) -> Iterator[None]:
    """Each plugin raises errors of its own kind: all of them become one."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RemoteError(f"{url}: no room for its copy: {error.strerror}") from error
        said = str(error.__cause__ or error) or type(error).__name__
        raise RemoteError(f"{url}: can't be had: {printable(said, LONGEST)}") from error
