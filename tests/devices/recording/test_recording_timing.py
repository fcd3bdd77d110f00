"""Which time stamps are kept, and which belong to which frames, beside trying everything."""

from itertools import combinations

import numpy as np
import pytest

from devices.recording.timing import displaced, in_order, paired


@pytest.mark.parametrize("seed", range(30))
def test_as_many_are_kept_as_can_be(seed):
    times = np.random.default_rng(seed).integers(0, 12, 9)
    longest = max(
        size
        for size in range(1, 10)
        for places in combinations(range(9), size)
        if (np.diff(times[list(places)]) >= 0).all()
    )
    kept = in_order(times)
    assert kept.size == longest == 9 - displaced(times)
    assert (np.diff(kept) > 0).all() and (np.diff(times[kept]) >= 0).all()


@pytest.mark.parametrize("seed", range(10))
def test_stamps_and_frames_that_are_lost_anywhere_leave_the_others_together(seed):
    rng = np.random.default_rng(seed)
    shown = np.cumsum(rng.integers(28, 40, 80)) * 1_000_000
    times = shown + 10**18 + rng.integers(-(10**5), 10**5, 80)
    stamps = np.sort(rng.choice(80, 80 - int(rng.integers(1, 4)), replace=False))
    frames = np.sort(rng.choice(80, 80 - int(rng.integers(4, 7)), replace=False))
    which, numbers = paired(times[stamps], shown[frames])
    assert stamps[which].tolist() == frames[numbers].tolist()
    both = len(set(stamps.tolist()) & set(frames.tolist()))
    assert which.size == both


def test_where_the_video_says_nothing_the_first_belong_together():
    shown = np.arange(10) * 40_000_000
    times = 10**18 + np.arange(12) ** 2 * 90_000_000
    which, numbers = paired(times, shown)
    assert which.tolist() == numbers.tolist() == list(range(10))
