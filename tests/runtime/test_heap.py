"""Garbage in a run of hours: what is lost while it streams is found soon, whatever is loaded."""

import gc
import weakref

import pytest

from runtime.heap import keep_garbage_small


class Ring:
    def __init__(self):
        self.itself = self


@pytest.fixture
def small_garbage():
    loaded = [[number] for number in range(400_000)]  # as much as any program
    gc.collect()
    yield keep_garbage_small
    gc.unfreeze()
    del loaded


def lives_through(allocations):
    """Whether a ring that grew old and was lost is there after so many more allocations."""
    ring = Ring()
    alive = weakref.ref(ring)
    gc.collect(1)  # it outlives two collections, so that only a full one finds it
    gc.collect(1)
    del ring
    kept = [[] for _ in range(allocations)]
    return alive() is not None and len(kept) == allocations


def test_old_garbage_goes_while_a_run_streams(small_garbage):
    assert lives_through(90_000)  # left to itself: not before a quarter of all is new
    small_garbage()
    assert not lives_through(90_000)
