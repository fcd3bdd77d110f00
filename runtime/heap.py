"""The C library's heap, told what a run of hours needs of it."""

from __future__ import annotations

import ctypes

MMAP_THRESHOLD, ARENAS_AT_MOST = -3, -8  # names of glibc's mallopt(3)
LARGE = 128 << 10  # bytes: glibc's own limit before it begins to move it


def keep_heap_flat() -> None:
    """Frames and tensors get pages of their own and give them back; all else shares one heap.

    Left to itself glibc moves its limit for pages of their own up to whatever was freed last, and
    gives threads heaps of their own: frames then lie among small things that stay, and the holes
    between them grow for hours. To be called before threads begin; elsewhere it does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(MMAP_THRESHOLD, LARGE)
    mallopt(ARENAS_AT_MOST, 1)
