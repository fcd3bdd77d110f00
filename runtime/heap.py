"""The C library's heap and Python's garbage, told what a run of hours needs of them."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Names of glibc's mallopt(3).
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, ARENAS_AT_MOST = -1, -2, -3, -8
LOOKS = 100, 5, 2  # `gc.set_threshold`: new objects to a look at the newest, such to one at older
LARGE = 16 << 10  # bytes: an eighth of glibc's own limit, so that pieces of pictures count, too


def keep_heap_flat() -> None:
    """Frames and tensors get pages of their own and give them back; all else shares one heap.

    Left to itself glibc moves its limit for pages of their own up to whatever was freed last, and
    gives threads heaps of their own: frames then lie among small things that stay, and the holes
    between them grow for hours. It also takes room at the heap's end in advance and keeps what is
    given back there, and puts into that whatever fits, large or not. To be called before threads
    begin; elsewhere it does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(MMAP_THRESHOLD, LARGE)
    mallopt(TRIM_THRESHOLD, LARGE)
    mallopt(TOP_PAD, 0)
    mallopt(ARENAS_AT_MOST, 1)


@contextmanager
def small_garbage() -> Iterator[None]:
    """Meanwhile what is there by now is never looked at for garbage; what comes later, often.

    Python looks at everything only when what is new is a quarter of all, and "all" holds every
    module: rings of objects that nobody needs would pile up for hours until then. So would tuples
    that are gone: Python keeps thousands of each length for later, a tuple made of an iterator puts
    one more there, and only a look at everything frees them. To be entered when all that lasts is
    loaded and before anything streams. Afterwards garbage is looked for as before: a program that
    makes several runs gets back what each of them had loaded.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.collect()  # counts anew how much there is, without what is frozen
    gc.set_threshold(*LOOKS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
