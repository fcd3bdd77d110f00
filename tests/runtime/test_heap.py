"""Garbage in a run of hours: what is lost while it streams is found soon, whatever is loaded."""

import gc
import os
import subprocess
import sys
import weakref
from collections import deque

import pytest
from glibc_heap import heap

from runtime.heap import small_garbage


class Ring:
    def __init__(self):
        self.itself = self


@pytest.fixture
def loaded():
    kept = [[number] for number in range(400_000)]  # as much as any program
    gc.collect()
    return kept


def lives_through(allocations):
    """Whether a ring that grew old and was lost is there after so many more allocations."""
    ring = Ring()
    alive = weakref.ref(ring)
    gc.collect(1)  # it outlives two collections, so that only a full one finds it
    gc.collect(1)
    del ring
    kept = [[] for _ in range(allocations)]
    return alive() is not None and len(kept) == allocations


def test_old_garbage_goes_while_a_run_streams(loaded):
    assert lives_through(90_000)  # left to itself: not before a quarter of all is new
    with small_garbage():
        assert not lives_through(90_000)


def test_what_a_run_had_loaded_goes_after_it(loaded):
    looks = gc.get_threshold()
    ring = Ring()
    alive = weakref.ref(ring)
    with small_garbage():
        del ring
        gc.collect()
        assert alive() is not None  # it is looked at no more
    gc.collect()
    assert alive() is None
    assert gc.get_threshold() == looks


def stream(samples):
    """Objects come and go, the newest few hundred stay; what is told of them is a tuple."""
    newest = deque(maxlen=300)
    for number in range(samples):
        newest.append([number])
        tuple(each for each in range(number % 16))


def test_tuples_that_are_gone_are_given_back(loaded):
    with small_garbage():
        stream(2_000)
        before = sys.getallocatedblocks()
        stream(20_000)
        assert sys.getallocatedblocks() - before < 2_000  # left to itself: ten times as many


LARGE_ONES = """
import ctypes
from glibc_heap import heap
from runtime.heap import keep_heap_flat

keep_heap_flat()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
small = [libc.malloc(400) for _ in range(5000)]
for piece in [libc.malloc(2000) for _ in range(50)]:
    libc.free(piece)
before = heap().hblks
large = [libc.malloc(20 << 10) for _ in range(100)]
print(heap().hblks - before)
"""


@pytest.mark.skipif(heap() is None, reason="no glibc that tells of its heap")
def test_large_pieces_have_pages_of_their_own():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    ran = subprocess.run([sys.executable, "-c", LARGE_ONES], env=environment, capture_output=True)
    assert ran.stdout.strip() == b"100", ran.stderr.decode()
