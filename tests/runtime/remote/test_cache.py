"""Copies take no more room than they may, whoever uses them, and none goes while it is used."""

import multiprocessing
import os
import signal
import time
from contextlib import suppress

import pytest

from runtime.remote.cache import BoundedCache
from runtime.remote.urls import RemoteError


class Clock:
    """Time that passes when it is slept."""

    def __init__(self):
        self.now, self.slept = 0.0, []
        self.meanwhile = lambda: None

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.meanwhile()


def maker(content, made=None):
    def make(folder):
        if made is not None:
            made.append(content)
        (folder / "file").write_bytes(content)

    return make


def cache_of(folder, limit=100, clock=None):
    clock = clock or Clock()
    return BoundedCache(folder, limit, clock, clock.sleep)


def used(folder, cache, key, size=40):
    """Make and let go; a moment passes, so that it is known what was used last."""
    cache.held(key, size, maker(b"x" * size)).release()
    for number, entry in enumerate(sorted(folder.glob("*/lock"), key=lambda p: p.stat().st_mtime)):
        os.utime(entry, (number, number))


def keys(folder):
    return {path.parent.name for path in folder.glob("*/copy")}


def taken(folder):
    size = 0
    for path in folder.glob("*/copy/file"):
        with suppress(FileNotFoundError):  # it goes while it is looked at
            size += path.stat().st_size
    return size


def test_what_is_there_is_not_made_again(tmp_path):
    made = []
    for _ in range(2):
        held = cache_of(tmp_path).held("a", 3, maker(b"abc", made))
        assert (held.path / "file").read_bytes() == b"abc"
        held.release()
    assert made == [b"abc"]


def test_what_was_used_longest_ago_goes_first(tmp_path):
    cache = cache_of(tmp_path)
    for key in ("a", "b", "a", "c"):
        used(tmp_path, cache, key)
        assert taken(tmp_path) <= 100
    assert keys(tmp_path) == {"a", "c"}


def test_what_is_used_stays_and_is_waited_for(tmp_path):
    clock = Clock()
    first, second = (cache_of(tmp_path, clock=clock).held(k, 50, maker(b"x" * 50)) for k in "ab")
    beats = []
    clock.meanwhile = lambda: first.release() if clock.now == 2.0 else None
    third = cache_of(tmp_path, clock=clock).held("c", 50, maker(b"x" * 50), lambda: beats.append(1))
    assert keys(tmp_path) == {"b", "c"} and clock.now == 2.0 and len(beats) == 4
    assert taken(tmp_path) == 100
    for held in (second, third):
        held.release()


def test_room_that_never_comes_free_is_one_line(tmp_path):
    clock = Clock()
    held = cache_of(tmp_path, clock=clock).held("a", 100, maker(b"x" * 100))
    with pytest.raises(RemoteError, match="give a larger --cache-size"):
        cache_of(tmp_path, clock=clock).held("b", 1, maker(b"x"))
    assert keys(tmp_path) == {"a"}
    held.release()


def test_what_is_larger_than_all_room_is_refused_before_it_comes(tmp_path):
    made = []
    with pytest.raises(RemoteError, match="do not fit"):
        cache_of(tmp_path).held("a", 101, maker(b"x" * 101, made))
    assert not made


def test_what_fails_leaves_nothing(tmp_path):
    def fail(folder):
        (folder / "part").write_bytes(b"x")
        raise RemoteError("the network is gone")

    cache = cache_of(tmp_path)
    with pytest.raises(RemoteError, match="network"):
        cache.held("a", 100, fail)
    assert not list(tmp_path.rglob("part"))
    cache.held("b", 100, maker(b"x" * 100)).release()


def test_a_size_that_was_not_told_counts_afterwards(tmp_path):
    cache = cache_of(tmp_path)
    cache.held("a", 0, maker(b"x" * 90)).release()
    cache.held("b", 20, maker(b"x" * 20)).release()
    assert keys(tmp_path) == {"b"}


def make_slowly(folder):
    cache = BoundedCache(folder, 100)
    cache.held("a", 3, lambda place: ((place / "half").write_bytes(b"a"), time.sleep(60)))


def test_what_a_killed_process_left_is_made_anew(tmp_path):
    context = multiprocessing.get_context("fork")
    process = context.Process(target=make_slowly, args=(tmp_path,))
    process.start()
    while not list(tmp_path.glob("*/partial/half")):
        time.sleep(0.01)
    clock = Clock()
    clock.meanwhile = lambda: (os.kill(process.pid, signal.SIGKILL), process.join())
    held = cache_of(tmp_path, clock=clock).held("a", 3, maker(b"abc"))
    assert clock.now > 0, "it was being made by the other"
    assert [path.name for path in held.path.iterdir()] == ["file"]
    held.release()


def use_in_turns(folder, number, worst):
    cache = BoundedCache(folder, 100)
    for turn in range(20):
        held = cache.held(f"{(turn * number) % 7}", 30, maker(b"x" * 30), lambda: None)
        assert (held.path / "file").read_bytes() == b"x" * 30
        worst.put(taken(folder))
        held.release()


def test_processes_share_it(tmp_path):
    context = multiprocessing.get_context("fork")
    worst = context.Queue()
    workers = [context.Process(target=use_in_turns, args=(tmp_path, n, worst)) for n in (1, 2, 3)]
    for worker in workers:
        worker.start()
    sizes = [worst.get(timeout=30) for _ in range(60)]
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0] and max(sizes) <= 100
