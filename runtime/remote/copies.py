"""Inputs as paths of this machine, wherever they lie."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import platformdirs

from devices import numbers
from runtime.bundle.verification import APPLICATION
from runtime.remote.cache import GIBIBYTE, BoundedCache, Held
from runtime.remote.listing import examined
from runtime.remote.urls import Location, RemoteError

CACHE_SIZE = 20.0  # GiB


class LocalCopies:
    """A path is itself; what a URL names is copied here, and stays until it is let go."""

    def __init__(self, cache: BoundedCache, heard: Callable[[], None] = lambda: None) -> None:
        """`heard` is called while something is being copied."""
        self._cache, self._heard = cache, heard
        self._held: list[Held] = []

    @classmethod
    def of(
        cls, options: argparse.Namespace, heard: Callable[[], None] = lambda: None
    ) -> LocalCopies:
        """As `add_cache_options` lets a command line say."""
        folder = options.cache or platformdirs.user_cache_path(APPLICATION, appauthor=False) / "url"
        return cls(BoundedCache(folder, round(options.cache_size * GIBIBYTE)), heard)

    def path(self, place: Location, suffixes: Collection[str] = ()) -> Path:
        """Where it lies here; of a folder elsewhere only files with these suffixes are copied.

        Raises RemoteError.
        """
        if isinstance(place, Path):
            return place
        found = examined(place, suffixes)
        stamps = [(file.name, file.stamp) for file in found.files]
        key = hashlib.sha256(repr((place.text, stamps)).encode()).hexdigest()
        make = partial(found.fetch, heard=self._heard)
        try:
            held = self._cache.held(key, found.size, make, self._heard)
        except OSError as error:
            raise RemoteError(f"{error.filename or place}: {error.strerror}") from error
        self._held.append(held)
        return held.path / place.name

    def let_go(self) -> None:
        """What was copied may be removed when others need the room."""
        while self._held:
            self._held.pop().release()


def add_cache_options(parser: argparse.ArgumentParser) -> None:
    """Where what is given by URL is kept, and how much of it."""
    inputs = parser.add_argument_group("inputs by URL")
    inputs.add_argument(
        "--cache", type=Path, metavar="DIR", help="of copies (default: the user's cache)"
    )
    inputs.add_argument(
        "--cache-size",
        type=numbers.number(0, 1 << 20, above=True),
        default=CACHE_SIZE,
        metavar="GIB",
        help=f"that copies may take together (default {CACHE_SIZE:g})",
    )
